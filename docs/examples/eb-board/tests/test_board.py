"""The board keeps what its capabilities say."""

from eb_board.board import Board

from eb_core.testing import check_backend


def test_the_board_is_as_it_says():
    assert check_backend(Board()) > 0
