"""Measure what channels, inputs and other networks cost; write the record of channels.

python benchmarks/channels.py
"""

from __future__ import annotations

from experiment import at_least_one, integers, new_parser, run

from tbscale.bench.experiments.channels import ChannelsRequest, measure_channels

if __name__ == "__main__":
    default = ChannelsRequest()
    parser = new_parser(__doc__)
    parser.add_argument("--size-px", type=int, default=default.size_px)
    parser.add_argument("--channels", type=integers, default=default.channels)
    parser.add_argument("--rounds", type=at_least_one, default=default.rounds)
    parser.add_argument("--nets", type=integers, default=default.nets)
    parser.add_argument("--tiles", type=int, default=default.tiles)
    parser.add_argument("--repeats", type=at_least_one, default=default.repeats)
    given = parser.parse_args()
    request = ChannelsRequest(
        size_px=given.size_px,
        channels=given.channels,
        rounds=given.rounds,
        nets=given.nets,
        tiles=given.tiles,
        repeats=given.repeats,
    )
    run(lambda: measure_channels(request), given.out)
