from typing import Any

import pytest

from audiomend.training.tables import denoising_table, figures, learning_curve
from audiomend.training.validation import LEVELS


def line(hours: float, gain: float) -> dict[str, Any]:
    def row(offset: float) -> list[float]:
        return [gain + offset + n for n in range(len(LEVELS))]

    return {
        "step": 1,
        "segments": 1234,
        "cpu_hours": hours,
        "gain": {
            "wiener": {"gap": row(0), "music": row(0.5), "piano": row(1)},
            "network": {"gap": row(2), "music": row(3), "piano": row(5)},
            "told": {"gap": row(10)},
        },
        "restoration": {"gap, SDR in dB": {"damaged": 0.0, "untold": 3.0, "told": 4.5}},
    }


def test_the_denoising_table_sets_the_network_beside_wiener():
    assert denoising_table(line(1, 0.0)) == (
        "|  | 0.01 | 0.03 | 0.1 | 0.3 | 1 | 3 | 10 | mean |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| gap, Wiener | 0.00 | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 | 3.00 |\n"
        "| gap, network | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 | 7.00 | 8.00 | 5.00 |\n"
        "| gap, network told | 10.00 | 11.00 | 12.00 | 13.00 | 14.00 | 15.00 | 16.00 | 13.00 |\n"
        "| music, Wiener | 0.50 | 1.50 | 2.50 | 3.50 | 4.50 | 5.50 | 6.50 | 3.50 |\n"
        "| music, network | 3.00 | 4.00 | 5.00 | 6.00 | 7.00 | 8.00 | 9.00 | 6.00 |\n"
        "| piano, Wiener | 1.00 | 2.00 | 3.00 | 4.00 | 5.00 | 6.00 | 7.00 | 4.00 |\n"
        "| piano, network | 5.00 | 6.00 | 7.00 | 8.00 | 9.00 | 10.00 | 11.00 | 8.00 |\n"
    )


def test_the_learning_curve_has_a_row_for_each_validation():
    assert learning_curve([line(0.5, 0.0), line(12.25, 1.0)]) == (
        "| CPU hours | segments | all | 0.01 | 0.03 | 0.1 | 0.3 | 1 | 3 | 10 | gap, told | gap, SDR in dB |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| 0.50 | 1,234 | 7.00 | 4.00 | 5.00 | 6.00 | 7.00 | 8.00 | 9.00 | 10.00 | 13.00 | 3.00 / 4.50 |\n"
        "| 12.25 | 1,234 | 8.00 | 5.00 | 6.00 | 7.00 | 8.00 | 9.00 | 10.00 | 11.00 | 14.00 | 3.00 / 4.50 |\n"
    )


def test_a_learning_curve_begins_with_one_row():
    assert learning_curve([line(0.5, 0.0)]).splitlines()[2:] == [
        "| 0.50 | 1,234 | 7.00 | 4.00 | 5.00 | 6.00 | 7.00 | 8.00 | 9.00 | 10.00 | 13.00 | 3.00 / 4.50 |"
    ]


def test_a_long_learning_curve_is_thinned_to_twenty_rows_with_both_ends():
    rows = learning_curve([line(hours, 0.0) for hours in range(100)]).splitlines()[2:]
    assert len(rows) == 20
    assert rows[0].startswith("| 0.00 |")
    assert rows[-1].startswith("| 99.00 |")


def test_the_figures_of_a_card():
    card = figures(line(1, 0.0))
    assert card["denoising gain at 0.01 sigma_data, dB"] == 4.0  # music and piano, not the gap
    assert card["denoising gain at 10 sigma_data, dB"] == 10.0
    assert card["denoising gain in lost part, told of gap, dB"] == pytest.approx(13.0)
    assert card["gap, SDR in dB (untold)"] == 3.0
    assert card["gap, SDR in dB (told)"] == 4.5
    assert len(card) == len(LEVELS) + 3
