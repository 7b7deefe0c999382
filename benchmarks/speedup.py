"""Run stock Cellpose and this package in turn on one image; write the record of speedup.

python benchmarks/speedup.py exemplar-001
python benchmarks/speedup.py --image IMAGE.ome.tif --channel DNA_6 --crop 0:3000,0:3000 --rounds 5
"""

from __future__ import annotations

from pathlib import Path

from experiment import at_least_one, new_parser, run, said_in_words, words

from tbscale.bench.command import parse_crop
from tbscale.bench.experiments.speedup import SpeedupRequest, measure_speedup

if __name__ == "__main__":
    default = SpeedupRequest()
    parser = new_parser(__doc__)
    parser.add_argument("target", nargs="?", help="a dataset whose image or stand-in is in data/")
    parser.add_argument("--image", type=Path, help="the image to measure under that name")
    parser.add_argument("--channel", help="index from 0, or name")
    parser.add_argument("--crop", help="Y0:Y1,X0:X1; default: the whole plane")
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    parser.add_argument("--engines", type=words, default=default.engines)
    given = parser.parse_args()
    with said_in_words():
        request = SpeedupRequest(
            given.target,
            given.image,
            given.channel,
            parse_crop(given.crop) if given.crop else None,
            given.rounds,
            given.engines,
        )
    run(lambda: measure_speedup(request), given.out)
