"""The network: settings, credentials, requests with retries, and a cache of answers."""
