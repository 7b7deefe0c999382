"""Memory that a thread is given again."""

import threading

import numpy as np

from tbscale.images.thread_room import ThreadRoom


def test_a_thread_is_given_the_same_memory_again_and_another_thread_its_own() -> None:
    room, others = ThreadRoom(1000), []
    first = room.take(100)
    first[:] = b"x" * 100
    assert bytes(room.take(60)) == b"x" * 60
    thread = threading.Thread(target=lambda: others.append(bytes(room.take(60))))
    thread.start()
    thread.join()
    assert others == [bytes(60)]


def test_more_is_made_where_it_is_too_small_and_kept_up_to_a_limit() -> None:
    room = ThreadRoom(1000)
    for count, kept in ((100, 100), (1000, 1000), (1001, 1000), (70, 1000)):
        assert len(room.take(count)) == count
        assert len(room._kept) == kept


def test_arrays_can_be_written_to() -> None:
    room = ThreadRoom(1000)
    array = room.array((3, 5), "uint32")
    array[:] = 7
    assert (array.shape, array.dtype) == ((3, 5), np.uint32)
    assert array.flags.c_contiguous
    assert room.array((15,), np.uint32).tolist() == [7] * 15
