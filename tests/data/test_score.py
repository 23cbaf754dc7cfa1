from collections.abc import Sequence

import numpy as np
import pytest

from audiomend.data.score import Score, excerpt, random_score, select, sounding_end

Pairs = Sequence[tuple[float, float]]


def score(notes: Sequence[tuple[float, float, int]], pedal: Pairs = (), beats: Sequence[float] = ()) -> Score:
    table = np.array(notes, float).reshape(-1, 3)
    return Score(
        onset=table[:, 0],
        release=table[:, 1],
        key=table[:, 2].astype(np.int64),
        velocity=np.arange(len(table)) + 50,
        track=np.arange(len(table)) % 2,
        pedal=np.array(pedal, float).reshape(-1, 2),
        beats=np.array(beats, float),
    )


def test_without_a_pedal_a_note_ends_at_key_up():
    assert sounding_end(score([(0, 1, 60), (1, 3, 62)])).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("release", "end"),
    [(0.5, 0.5), (1.0, 2.0), (1.5, 2.0), (2.5, 2.5), (3.5, 5.0), (6.0, 6.0)],
)
def test_the_pedal_holds_notes_whose_key_comes_up_in_its_span(release: float, end: float):
    assert sounding_end(score([(0, release, 60)], [(1, 2), (3, 5)])).tolist() == [end]


def test_an_excerpt_holds_the_notes_that_begin_in_it_and_counts_from_its_start():
    whole = score([(1, 2, 60), (2, 4, 61), (3, 9, 62), (5, 6, 63)], beats=[1, 2, 3, 4, 5, 6])
    part = excerpt(whole, 2, 3)
    assert part.onset.tolist() == [0, 1]
    assert part.release.tolist() == [2, 7]
    assert part.key.tolist() == [61, 62]
    assert part.velocity.tolist() == [51, 52]
    assert part.beats.tolist() == [0, 1, 2]


def test_an_excerpt_keeps_the_pedal_spans_that_touch_it():
    part = excerpt(score([(2, 3, 60)], [(0, 2), (1, 3), (3.5, 4), (4.9, 8), (5, 9)]), 2, 3)
    np.testing.assert_allclose(part.pedal, [[-1, 1], [1.5, 2], [2.9, 6]])


def test_select_takes_the_notes_and_leaves_pedal_and_beats():
    whole = score([(1, 2, 60), (2, 4, 61)], [(0, 2)], [0, 1])
    part = select(whole, np.array([False, True]))
    assert (part.onset[0], part.release[0], part.key[0], part.velocity[0], part.track[0]) == (2, 4, 61, 51, 1)
    assert part.pedal.tolist() == [[0, 2]]
    assert part.beats.tolist() == [0, 1]


def test_a_score_lasts_until_its_last_key_up():
    assert score([(0, 7, 60), (1, 3, 62)]).seconds == 7
    assert score([]).seconds == 0


@pytest.mark.parametrize("seed", range(20))
def test_random_notes_are_playable_and_in_one_scale(seed: int):
    made = random_score(20.0, np.random.default_rng(seed))
    assert (np.diff(made.onset) >= 0).all()
    assert (made.release > made.onset).all()
    assert 36 <= made.key.min() <= made.key.max() <= 96
    assert 1 <= made.velocity.min() <= made.velocity.max() <= 127
    assert len({key % 12 for key in made.key.tolist()}) <= 7
    assert 15 < made.onset.max() < 20
    assert 60 / 160 < np.diff(made.beats).mean() < 60 / 50
    assert (made.pedal[:, 1] > made.pedal[:, 0]).all()


def test_random_notes_are_a_function_of_the_generator():
    first, second = (random_score(20.0, np.random.default_rng(3)) for _ in range(2))
    assert first.key.tolist() == second.key.tolist()
    assert first.onset.tolist() == second.onset.tolist()


def test_random_scores_have_a_pedal_in_two_thirds():
    pedalled = [len(random_score(4.0, np.random.default_rng(seed)).pedal) > 0 for seed in range(300)]
    assert np.mean(pedalled) == pytest.approx(2 / 3, abs=0.09)


def test_random_tempi_fill_50_to_160_beats_a_minute():
    beats = [random_score(3.0, np.random.default_rng(seed)).beats for seed in range(600)]
    tempi = [60 / (times[1] - times[0]) for times in beats]
    assert 50 <= min(tempi) < 50.6
    assert 159 < max(tempi) <= 160


def test_random_melodies_begin_at_the_middle_of_the_scale_and_no_step_above_the_eighth_from_its_top():
    for seed in range(60):
        made = random_score(30.0, np.random.default_rng(seed))
        degrees = {key % 12 for key in made.key.tolist()}
        scale = [key for key in range(36, 97) if key % 12 in degrees]
        if len(degrees) in (5, 7):  # otherwise the scale was not played out
            first = scale.index(int(made.key[made.track == 0][0]))
            assert len(scale) // 2 - 3 <= first <= len(scale) - 9 + 3


def test_random_scores_hold_chords_of_three_on_every_other_beat():
    made = random_score(20.0, np.random.default_rng(0))
    chords = made.track == 1
    assert chords.sum() == 3 * ((len(made.beats) + 1) // 2)


def test_random_chords_are_stacked_thirds_of_the_scale_under_a_melody_of_small_steps():
    for seed in range(20):
        made = random_score(30.0, np.random.default_rng(seed))
        degrees = sorted({key % 12 for key in made.key.tolist()})
        scale = [key for key in range(24, 108) if key % 12 in degrees]
        place = np.array([scale.index(key) for key in made.key.tolist()])
        if len(degrees) not in (5, 7):
            continue  # a scale that was not played out
        chord = made.track == 1
        by_chord = np.searchsorted(made.beats, made.onset[chord] - 0.02)
        for beat in set(by_chord.tolist()):
            assert np.ptp(place[chord][by_chord == beat]) == 4
        assert np.abs(np.diff(place[~chord])).max() <= 3


def test_random_melodies_last_0_4_to_1_1_of_their_time_and_chords_half_to_all_of_two_beats():
    for seed in range(20):
        made = random_score(30.0, np.random.default_rng(seed))
        beat, length, chord = made.beats[1] - made.beats[0], made.release - made.onset, made.track == 1
        assert (length[~chord] < 1.1 * beat).all()
        assert (length[~chord] > 0.4 * beat / 4 - 0.016).all()
        assert (length[chord] > beat - 0.016).all()
        assert (length[chord] <= 2 * beat).all()
        assert length[chord].max() > 1.7 * beat


def test_random_melodies_are_8_velocities_louder_than_their_chords():
    made = [random_score(40.0, np.random.default_rng(seed)) for seed in range(60)]
    apart = [
        score.velocity[score.track == 0].mean() - score.velocity[score.track == 1].mean() for score in made
    ]
    assert np.mean(apart) == pytest.approx(8, abs=0.4)


def test_a_random_pedal_is_renewed_with_every_chord():
    made = next(
        s for s in (random_score(20.0, np.random.default_rng(seed)) for seed in range(9)) if len(s.pedal)
    )
    np.testing.assert_allclose(made.pedal[:, 0], made.beats[::2] + 0.08)
    np.testing.assert_allclose(made.pedal[:, 1], made.beats[::2] + 2 * made.beats[1] - 0.02)
