"""Measure how time and memory grow with a plane, and write the record of the experiment growth.

python benchmarks/growth.py                    # up to 8 megapixels
python benchmarks/growth.py --dataset WD-76845-097 --largest 100
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, run, words

from tbscale.bench.experiments.growth import GrowthRequest, measure_growth

if __name__ == "__main__":
    default = GrowthRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--dataset", default=default.dataset, help="whose stand-in")
    parser.add_argument("--smallest", type=float, default=default.smallest, help="megapixels")
    parser.add_argument("--largest", type=float, default=default.largest, help="megapixels")
    parser.add_argument("--engines", type=words, default=default.engines)
    parser.add_argument("--threads-size", type=float, default=default.threads_size)
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    given = parser.parse_args()
    request = GrowthRequest(
        given.dataset,
        given.smallest,
        given.largest,
        given.engines,
        given.threads_size,
        given.rounds,
    )
    run(lambda: measure_growth(request), given.out)
