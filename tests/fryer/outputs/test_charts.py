"""What the report plots, as figures."""

from dataclasses import replace

from fryer.outputs.charts import host_charts, rate_charts, slowed_spans, telemetry_charts, words_of
from fryer.records import Point
from watchdog.collectors.readings import GpuReading


def looks(*reasons: int | None) -> tuple[GpuReading, ...]:
    return tuple(
        GpuReading(uuid="GPU-1", at_seconds=float(at), clock_event_reasons=mask) for at, mask in enumerate(reasons)
    )


def test_there_is_one_plot_a_burn_and_case_with_all_devices(sample) -> None:
    charts = rate_charts(sample.evidence, sample.result.verdicts[0])
    assert [chart.title for chart in charts] == [
        "gemm bf16 8192x8192x8192",
        "gemm fp8 8192x8192x8192",
        "hbm copy",
        "hbm triad",
        "pcie h2d",
        "pcie d2h",
        "soak bf16 8192x8192x8192",
    ]
    assert sorted(trace["name"] for trace in charts[1].figure["data"]) == [f"gpu{i}" for i in range(8)]


def test_devices_that_did_not_pass_are_thick_and_drawn_last(sample) -> None:
    traces = rate_charts(sample.evidence, sample.result.verdicts[0])[1].figure["data"]
    assert [(trace["name"], trace["line"]["width"]) for trace in traces[-2:]] == [("gpu2", 2.6), ("gpu5", 2.6)]
    assert {trace["line"]["width"] for trace in traces[:-2]} == {1.4}


def test_a_wrong_result_is_marked_where_it_was_found(sample) -> None:
    chart = rate_charts(sample.evidence, sample.result.verdicts[0])[0]
    cross = chart.figure["data"][-1]
    assert (cross["name"], cross["x"], cross["text"]) == ("wrong result", [9.4], ["gpu2"])


def test_power_temperatures_and_clocks_have_a_plot_each(sample) -> None:
    charts = telemetry_charts(sample.evidence, sample.result.verdicts[0])
    assert [chart.title for chart in charts] == ["Power", "GPU temperature", "HBM temperature", "SM clock"]


def test_what_no_gpu_gives_has_no_plot(sample) -> None:
    blind = {
        name: tuple(replace(r, memory_temperature_celsius=None) for r in readings)
        for name, readings in sample.evidence.gpu_readings.items()
    }
    charts = telemetry_charts(replace(sample.evidence, gpu_readings=blind), sample.result.verdicts[0])
    assert [chart.title for chart in charts] == ["Power", "GPU temperature", "SM clock"]


def test_without_readings_there_is_no_plot_of_the_host(sample) -> None:
    assert host_charts(replace(sample.evidence, host_readings=())) == []


def test_a_long_series_is_thinned_and_the_note_says_so(sample) -> None:
    first = sample.evidence.measurements[0]
    series = tuple(
        Point(
            device=first.device,
            burn=first.burn,
            case=first.case,
            metric=first.metric,
            at_seconds=float(at),
            value=1.0 if at == 3333 else 7e14,
        )
        for at in range(10_000)
    )
    evidence = replace(sample.evidence, measurements=(replace(first, series=series),), mismatches=())
    chart = rate_charts(evidence, sample.result.verdicts[0])[0]
    drawn = chart.figure["data"][0]
    assert len(drawn["x"]) <= 2000
    assert 3333.0 in drawn["x"]
    assert f"{len(drawn['x']):,} of 10,000 points a device drawn" in chart.note


def test_equal_slowdowns_in_a_row_are_one_span() -> None:
    assert slowed_spans(looks(0, 0x20, 0x20, 0, 0x80)) == [(1.0, 3.0, "sw thermal"), (4.0, 5.0, "power brake")]


def test_a_power_cap_is_no_slowdown_and_the_unknown_is_none_either() -> None:
    assert slowed_spans(looks(0x04, None, 0x01)) == []


def test_names_are_words_to_plotly() -> None:
    assert words_of("<b>&%{x}") == "&lt;b&gt;&amp;%&#123;x}"
