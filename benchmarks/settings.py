"""Measure what faster settings gain and give up; write the record of the experiment settings.

python benchmarks/settings.py
python benchmarks/settings.py --modes exact    # of the out-of-core engine
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, run, words

from tbscale.bench.experiments.settings import SettingsRequest, measure_settings

if __name__ == "__main__":
    default = SettingsRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--size-px", type=int, default=default.size_px)
    parser.add_argument("--rescaled-px", type=int, default=default.rescaled_px)
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    parser.add_argument("--variants", type=words, default=default.variants, help="none is all")
    parser.add_argument("--modes", type=words, default=default.modes, help="or none")
    given = parser.parse_args()
    request = SettingsRequest(
        size_px=given.size_px,
        rescaled_px=given.rescaled_px,
        rounds=given.rounds,
        variants=given.variants,
        modes=given.modes,
    )
    run(lambda: measure_settings(request), given.out)
