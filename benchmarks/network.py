"""Time what can run the network on this machine; write the record of the experiment network.

python benchmarks/network.py
python benchmarks/network.py --candidates reference,winograd
"""

from __future__ import annotations

from experiment import at_least_one, new_parser, run, words

from tbscale.bench.experiments.network import NetworkRequest, measure_network

if __name__ == "__main__":
    default = NetworkRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--candidates", type=words, default=default.candidates, help="none is all")
    parser.add_argument("--tiles", type=int, default=default.tiles)
    parser.add_argument("--tile-px", type=int, default=default.tile_px)
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    given = parser.parse_args()
    request = NetworkRequest(given.candidates, given.tiles, given.tile_px, given.rounds)
    run(lambda: measure_network(request), given.out)
