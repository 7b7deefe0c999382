"""Measure what density, size of cells and background cost; write the record of properties.

python benchmarks/properties.py
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, numbers, run, words

from tbscale.bench.experiments.properties import PropertiesRequest, measure_properties

if __name__ == "__main__":
    default = PropertiesRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--size-px", type=int, default=default.size_px)
    parser.add_argument("--densities", type=numbers, default=default.densities)
    parser.add_argument("--diameters", type=numbers, default=default.diameters_px)
    parser.add_argument("--empty", type=numbers, default=default.empty_shares)
    parser.add_argument("--engines", type=words, default=default.engines)
    parser.add_argument("--repeats", type=at_least_one, default=default.repeats)
    given = parser.parse_args()
    request = PropertiesRequest(
        given.size_px,
        given.densities,
        given.diameters,
        given.empty,
        given.engines,
        given.repeats,
    )
    run(lambda: measure_properties(request), given.out)
