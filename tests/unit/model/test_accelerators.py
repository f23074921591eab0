"""What a host's facts answer when a variant asks."""

from __future__ import annotations

from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver, Rocm


def test_a_host_without_accelerators() -> None:
    facts = HostFacts(platform="linux-64", glibc=(2, 36))
    assert facts.cuda is None
    assert facts.cuda_architectures == ()
    assert facts.rocm_version is None


def test_architectures_are_told_once_and_oldest_first() -> None:
    gpus = [Gpu(name=name, capability=arch) for name, arch in (("a", (9, 0)), ("b", (7, 5)), ("c", (9, 0)))]
    driver = NvidiaDriver(version="570.124.06", cuda=(12, 8), gpus=(*gpus, Gpu(name="unknown")))
    facts = HostFacts(platform="linux-64", nvidia=driver)
    assert facts.cuda == (12, 8)
    assert facts.cuda_architectures == ((7, 5), (9, 0))


def test_a_driver_that_does_not_work_runs_no_cuda() -> None:
    facts = HostFacts(platform="linux-64", nvidia=NvidiaDriver(fault="it does not answer"))
    assert facts.cuda is None


def test_rocm_without_a_gpu_is_none() -> None:
    assert HostFacts(platform="linux-64", rocm=Rocm(version=(6, 4))).rocm_version is None
    facts = HostFacts(platform="linux-64", rocm=Rocm(version=(6, 4), architectures=("gfx90a",)))
    assert facts.rocm_version == (6, 4)


def test_releases_of_drivers_are_compared_as_numbers() -> None:
    assert NvidiaDriver(version="570.124.06").release == (570, 124, 6)
    assert NvidiaDriver(version="535.54").release < NvidiaDriver(version="535.104.05").release
    assert NvidiaDriver(version="").release == ()
    assert NvidiaDriver(version="unknown").release == ()
