"""Time reading, writing and tables beside the codecs; write the record of the experiment files.

python benchmarks/files.py
python benchmarks/files.py --size-px 1500 --rounds 3
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, run

from tbscale.bench.experiments.files import FilesRequest, measure_files

if __name__ == "__main__":
    default = FilesRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--dataset", default=default.dataset)
    parser.add_argument("--size-px", type=at_least_one, default=default.size_px)
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    given = parser.parse_args()
    request = FilesRequest(given.dataset, given.size_px, given.rounds)
    run(lambda: measure_files(request), given.out)
