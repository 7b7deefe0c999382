"""Set real images beside stand-ins of the same size; write the record of the experiment trust.

    python benchmarks/trust.py \
        --image cycif-tonsil=TEST1.ome.tif:exemplar-001+WD-76845-097 \
        --image codex=nucleus.tif:LUNG-1-LN_40X

The images stay where they are: the record holds numbers only.
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, run

from tbscale.bench.experiments.trust import TrustRequest, measure_trust, parse_image

if __name__ == "__main__":
    default = TrustRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--image", type=parse_image, action="append", required=True)
    parser.add_argument("--repeats", type=at_least_one, default=default.repeats)
    parser.add_argument("--seed", type=int, default=default.seed)
    given = parser.parse_args()
    request = TrustRequest(tuple(given.image), given.repeats, given.seed)
    run(lambda: measure_trust(request), given.out)
