import pytest

from fryer.pci_path import Link, PciPath, read_pci_path

GEN = {
    1: "2.5 GT/s PCIe",
    2: "5.0 GT/s PCIe",
    3: "8.0 GT/s PCIe",
    4: "16.0 GT/s PCIe",
    5: "32.0 GT/s PCIe",
    6: "64.0 GT/s PCIe",
}
GPU = "0000:18:00.0"


def link(generation, width, at):
    return Link(
        pci_bus_id=at, gigatransfers_per_second={1: 2.5, 2: 5, 3: 8, 4: 16, 5: 32, 6: 64}[generation], width=width
    )


@pytest.fixture
def build(tmp_path):
    """Make a sysfs with one chain of functions, highest first: (address, max, current), each (generation, width)."""

    def make(*functions):
        folder = tmp_path / "devices/pci0000:15"
        for address, best, current in functions:
            folder /= address
            folder.mkdir(parents=True)
            for name, pair in (("max", best), ("current", current)):
                if pair:
                    (folder / f"{name}_link_speed").write_text(f"{GEN.get(pair[0], pair[0])}\n")
                    (folder / f"{name}_link_width").write_text(f"{pair[1]}\n")
        (tmp_path / "bus/pci/devices").mkdir(parents=True)
        (tmp_path / "bus/pci/devices" / functions[-1][0]).symlink_to(folder)
        return read_pci_path(functions[-1][0], tmp_path)

    return make


def switched(leg, own=(5, 16), own_now=(5, 16)):
    """A GPU behind a switch whose leg to the processor is `leg`."""
    return (
        ("0000:15:01.0", leg, leg),
        ("0000:16:00.0", (5, 16), leg),
        ("0000:17:00.0", (5, 16), own_now),
        (GPU, own, own_now),
    )


def test_a_narrow_leg_between_switch_and_processor_sets_the_rate(build):
    """AWS p5: the GPU's own leg is Gen5 x16, and 14 GB/s arrive."""
    path = build(*switched((4, 8)))
    assert path == PciPath(capability=link(4, 8, "0000:16:00.0"), current=link(4, 8, "0000:16:00.0"))
    assert str(path.capability) == "PCIe 4.0 x8 at 0000:16:00.0"
    assert path.capability.bytes_per_second == pytest.approx(15.754e9, rel=1e-4)


def test_a_uniform_path_is_named_by_the_gpus_own_link(build):
    assert build(*switched((5, 16))).capability == link(5, 16, GPU)


def test_a_link_that_idles_at_gen1_keeps_its_capability(build):
    path = build(*switched((5, 16), own_now=(1, 16)))
    assert path == PciPath(capability=link(5, 16, GPU), current=link(1, 16, GPU))


def test_a_link_that_trained_too_narrow_shows_in_current_alone(build):
    path = build(*switched((5, 16), own_now=(5, 4)))
    assert path == PciPath(capability=link(5, 16, GPU), current=link(5, 4, GPU))


def test_a_link_can_do_what_both_its_ends_can(build):
    path = build(("0000:15:01.0", (4, 16), (4, 16)), (GPU, (5, 16), (4, 16)))
    assert path.capability == link(4, 16, GPU)


def test_the_two_sides_of_a_switch_are_no_link(build):
    """A switch's lower port that can do little limits its own link, not the one above it."""
    path = build(
        ("0000:15:01.0", (5, 16), (5, 16)),
        ("0000:16:00.0", (5, 16), (5, 16)),
        ("0000:17:00.0", (3, 4), (3, 4)),
        (GPU, (5, 16), (3, 4)),
    )
    assert path.capability == link(3, 4, GPU)


def test_a_gpu_without_a_visible_port_is_judged_by_its_own_end(build):
    assert build((GPU, (5, 16), (4, 8))) == PciPath(capability=link(5, 16, GPU), current=link(4, 8, GPU))


@pytest.mark.parametrize(("speed", "width"), [("Unknown", 16), (5, 0), (5, 255), ("Unknown speed", 63)])
def test_what_the_kernel_does_not_know_is_none_and_not_zero(build, speed, width):
    assert build((GPU, (speed, width), (speed, width))) == PciPath(capability=None, current=None)


def test_a_function_without_link_files_or_that_is_gone_gives_none(build, tmp_path):
    assert build((GPU, None, None)) == PciPath(capability=None, current=None)
    assert read_pci_path("0000:99:00.0", tmp_path) == PciPath(capability=None, current=None)


def test_an_address_in_upper_case_is_found(build, tmp_path):
    build(("0000:1B:00.0".lower(), (5, 16), (5, 16)))
    assert read_pci_path("0000:1B:00.0", tmp_path).capability == link(5, 16, "0000:1b:00.0")


@pytest.mark.parametrize(
    ("generation", "gigabytes"), [(1, 4.0), (2, 8.0), (3, 15.754), (4, 31.508), (5, 63.015), (6, 121.0)]
)
def test_rates_of_sixteen_lanes_are_those_after_the_line_code(generation, gigabytes):
    assert link(generation, 16, GPU).bytes_per_second == pytest.approx(gigabytes * 1e9, rel=1e-4)
