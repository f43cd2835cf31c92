"""What is concluded of ``nvidia-smi -q``: one look at each GPU, and the words in place of one that has gone."""

import foreign_outputs as made
import pytest

from fryer.imports.verdict import FileVerdict, judge_text
from watchdog.vocabulary.verdicts import Verdict


def judged(*gpus: dict[str, str], attached: int | None = None) -> FileVerdict:
    return judge_text("smi", made.smi_text(*gpus, attached=attached))


def found_of(file: FileVerdict, index: int = 0) -> list[tuple[Verdict, str]]:
    return [(reason.verdict, reason.code) for reason in file.devices[index].reasons]


def test_healthy_gpus_at_their_power_cap_pass() -> None:
    found = judged(*[{}] * 8)
    assert found.verdict is Verdict.PASS
    assert [device.verdict for device in found.devices] == [Verdict.PASS] * 8


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ECC Errors/Volatile/DRAM Uncorrectable": "1"}, (Verdict.FAIL, "ecc_uncorrected")),
        ({"ECC Errors/Volatile/SRAM Uncorrectable Parity": "2"}, (Verdict.FAIL, "ecc_uncorrected")),
        ({"ECC Errors/Aggregate/DRAM Uncorrectable": "4"}, (Verdict.WARN, "ecc_uncorrected")),
        ({"ECC Errors/Volatile/SRAM Correctable": "20000"}, (Verdict.WARN, "ecc_corrected")),
        ({"ECC Errors/Aggregate/SRAM Threshold Exceeded": "Yes"}, (Verdict.FAIL, "sram_threshold")),
        ({"ECC Mode/Current": "Disabled"}, (Verdict.WARN, "ecc_off")),
        ({"Remapped Rows/Pending": "Yes"}, (Verdict.WARN, "row_remap_pending")),
        ({"Remapped Rows/Remapping Failure Occurred": "Yes"}, (Verdict.FAIL, "row_remap_failed")),
        ({"Remapped Rows/Uncorrectable Error": "3"}, (Verdict.WARN, "rows_remapped")),
        ({"Remapped Rows/Uncorrectable Error": "512"}, (Verdict.FAIL, "rows_remapped")),
        ({"Retired Pages/Single Bit ECC": "60"}, (Verdict.FAIL, "pages_retired")),
        ({"Retired Pages/Pending Page Blacklist": "Yes"}, (Verdict.WARN, "page_retirement_pending")),
        ({"GPU Reset Status/Reset Required": "Yes"}, (Verdict.FAIL, "recovery_action")),
        ({"GPU Reset Status/Drain and Reset Recommended": "Yes"}, (Verdict.FAIL, "recovery_action")),
        ({"GPU Recovery Action": "Reboot"}, (Verdict.FAIL, "recovery_action")),
        ({"Clocks Event Reasons/SW Thermal Slowdown": "Active"}, (Verdict.WARN, "thermal_throttle")),
        ({"Clocks Event Reasons/HW Slowdown/HW Thermal Slowdown": "Active"}, (Verdict.FAIL, "thermal_throttle")),
        ({"Clocks Event Reasons/HW Slowdown/HW Power Brake Slowdown": "Active"}, (Verdict.FAIL, "power_brake")),
        ({"Clocks Event Reasons/HW Slowdown": "Active"}, (Verdict.FAIL, "hw_slowdown")),
        ({"PCI/GPU Link Info/Link Width/Current": "8x"}, (Verdict.FAIL, "narrow_link")),
        ({"PCI/GPU Link Info/PCIe Generation/Current": "1"}, (Verdict.FAIL, "slow_link")),
        ({"PCI/GPU Link Info/PCIe Generation/Device Max": "6"}, (Verdict.WARN, "slot_below_device")),
        ({"Temperature/GPU T.Limit Temp": "1 C"}, (Verdict.WARN, "thermal_margin")),
        ({"Temperature/Memory Current Temp": "96 C"}, (Verdict.WARN, "hbm_hot")),
        ({"GPU Power Readings/Current Power Limit": "500.00 W"}, (Verdict.WARN, "power_limited")),
        ({"Fabric/State": "In Progress"}, (Verdict.FAIL, "fabric")),
        ({"Fabric/Status": "Failure"}, (Verdict.FAIL, "fabric")),
        ({"GPU Power Readings/Power Draw": "[Unknown Error]"}, (Verdict.FAIL, "device_lost")),
        ({"Temperature/GPU Current Temp": "GPU is lost"}, (Verdict.FAIL, "device_lost")),
        ({"Fan Speed": "ERR!"}, (Verdict.FAIL, "device_lost")),
    ],
)
def test_each_fault_of_one_gpu_is_found_on_it_alone(changes: dict[str, str], expected: tuple[Verdict, str]) -> None:
    found = judged({}, changes)
    assert (found.verdict, found_of(found, 1)) == (expected[0], [expected])
    assert found.devices[0].verdict is Verdict.PASS


def test_a_link_at_rest_may_lower_its_generation() -> None:
    rest = {
        "PCI/GPU Link Info/PCIe Generation/Current": "1",
        "Utilization/Gpu": "0 %",
        "Clocks Event Reasons/Idle": "Active",
        "Performance State": "P8",
    }
    assert judged(rest).verdict is Verdict.PASS


def test_software_thermal_slowdown_fails_where_the_clock_shows_what_it_costs() -> None:
    found = judged({"Clocks Event Reasons/SW Thermal Slowdown": "Active", "Clocks/SM": "900 MHz"})
    assert found_of(found) == [(Verdict.FAIL, "thermal_throttle")]
    assert found.devices[0].reasons[0].message == "slowed down by the driver, for heat (900 of 1980 MHz, 65 C)"


def test_reasons_that_come_together_are_each_told() -> None:
    found = judged(
        {
            "Clocks Event Reasons/HW Slowdown": "Active",
            "Clocks Event Reasons/HW Slowdown/HW Thermal Slowdown": "Active",
            "Clocks Event Reasons/HW Slowdown/HW Power Brake Slowdown": "Active",
        }
    )
    assert found_of(found) == [(Verdict.FAIL, "power_brake"), (Verdict.FAIL, "thermal_throttle")]


def test_the_names_of_older_drivers_are_read_too() -> None:
    old = made.smi_text({"Clocks Event Reasons/HW Slowdown": "Active"}).replace(
        "Clocks Event Reasons", "Clocks Throttle Reasons"
    )
    assert found_of(judge_text("smi", old)) == [(Verdict.FAIL, "hw_slowdown")]


@pytest.mark.parametrize(
    "line",
    [
        "Unable to determine the device handle for GPU0000:4B:00.0: Unknown Error",
        "Unable to determine the device handle for GPU 0000:4B:00.0: GPU is lost.  Reboot the system",
        "Unable to determine the device handle for gpu 0000:4B:00.0: Unknown Error",
    ],
)
def test_a_gpu_that_has_gone_is_a_failed_device_also_where_nothing_else_is_printed(line: str) -> None:
    found = judge_text("smi", line + "\n")
    assert (found.verdict, found_of(found)) == (Verdict.FAIL, [(Verdict.FAIL, "device_lost")])
    assert found.known[0].pci_bus_id == "0000:4b:00.0"


def test_a_lost_gpu_counts_among_those_that_are_attached() -> None:
    text = (
        made.smi_text({}, {}, attached=3) + "Unable to determine the device handle for GPU0000:4B:00.0: Unknown Error\n"
    )
    found = judge_text("smi", text)
    assert [device.verdict for device in found.devices] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert found.verdict is Verdict.FAIL


def test_fewer_gpus_than_are_attached_is_an_error() -> None:
    found = judged({}, {}, attached=8)
    assert (found.verdict, found.reasons[0].message) == (
        Verdict.ERROR,
        "8 GPUs are attached and 2 are listed: the rest is missing",
    )


@pytest.mark.parametrize(
    "line",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "Failed to initialize NVML: Driver/library version mismatch",
        "No devices were found",
    ],
)
def test_nvidia_smi_that_failed_is_an_error_in_its_own_words(line: str) -> None:
    found = judge_text("smi", line + "\n")
    assert (found.verdict, found.reasons[0].message) == (Verdict.ERROR, f"nvidia-smi says: {line}")


def test_a_part_of_the_listing_is_no_pass_for_what_it_lacks() -> None:
    text = made.smi_text({}).replace("    Product Name", "    Some Name")
    assert judge_text("smi", text).verdict is Verdict.INCONCLUSIVE


def test_another_vbios_than_that_of_the_others_is_worth_a_look() -> None:
    found = judged({}, {}, {"VBIOS Version": "96.00.00.00.01"})
    assert (found.verdict, (Verdict.WARN, "vbios_differs") in found_of(found, 2)) == (Verdict.WARN, True)


def xml(body: str, attached: int = 1) -> str:
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>\n'
        f'<attached_gpus>{attached}</attached_gpus>\n<gpu id="00000000:19:00.0">\n'
        f"<product_name>NVIDIA H100 80GB HBM3</product_name><uuid>GPU-1</uuid><serial>9</serial>\n{body}\n"
        "</gpu>\n</nvidia_smi_log>\n"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "<remapped_rows><remapped_row_pending>Yes</remapped_row_pending></remapped_rows>",
            (Verdict.WARN, "row_remap_pending"),
        ),
        (
            (
                "<clocks_event_reasons><clocks_event_reason_hw_power_brake_slowdown>Active"
                "</clocks_event_reason_hw_power_brake_slowdown></clocks_event_reasons>"
            ),
            (Verdict.FAIL, "power_brake"),
        ),
        (
            (
                "<clocks_throttle_reasons><clocks_throttle_reason_hw_slowdown>Active"
                "</clocks_throttle_reason_hw_slowdown></clocks_throttle_reasons>"
            ),
            (Verdict.FAIL, "hw_slowdown"),
        ),
        (
            "<ecc_errors><volatile><dram_uncorrectable>3</dram_uncorrectable></volatile></ecc_errors>",
            (Verdict.FAIL, "ecc_uncorrected"),
        ),
        ("<gpu_recovery_action>Reset</gpu_recovery_action>", (Verdict.FAIL, "recovery_action")),
        (
            (
                "<pci><pci_gpu_link_info><link_widths><max_link_width>16x</max_link_width>"
                "<current_link_width>4x</current_link_width></link_widths></pci_gpu_link_info></pci>"
            ),
            (Verdict.FAIL, "narrow_link"),
        ),
    ],
)
def test_xml_says_the_same_as_text(body: str, expected: tuple[Verdict, str]) -> None:
    found = judge_text("smi", xml(body))
    assert (found.verdict, found_of(found)) == (expected[0], [expected])
    assert (found.known[0].serial, found.known[0].pci_bus_id) == ("9", "00000000:19:00.0")
