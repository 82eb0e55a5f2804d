#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/status/board_document.hpp"

namespace seedbed::test {

inline board_row sample_row(std::string name, board_state state, double fraction = 0, double rate = 0) {
    board_row row;
    row.name = std::move(name);
    row.mac = "52:54:00:00:00:17";
    row.address = "192.0.2.17";
    row.image = "win11";
    row.state = state;
    row.phase = state == board_state::running ? "downloading" : to_string(state);
    row.fraction = fraction;
    row.rate = rate;
    row.is_downloading = state == board_state::running;
    if (rate > 0) {
        row.left_seconds = static_cast<std::int64_t>((1 - fraction) * 10e9 / rate);
    }
    row.disk = "/dev/nvme0n1";
    row.disk_class = storage_class::nvme;
    return row;
}

inline shown_board board_of(std::vector<board_row> rows) {
    shown_board shown;
    shown.version = "0.1.0";
    shown.images = 1;
    shown.machines = rows.size();
    for (auto const& row : rows) {
        ++shown.board.counts.at(static_cast<std::size_t>(row.state));
        shown.board.rate += row.rate;
    }
    shown.board.rows = std::move(rows);
    return shown;
}

/// A room of machines, the worst first.
inline shown_board sample_board() {
    auto failed = sample_row("PC-3", board_state::failed, 0.37);
    failed.reason = "write /dev/nvme0n1: offset 1048576, length 16384: Input/output error (EIO)";
    auto refused = sample_row("PC-4", board_state::refused);
    refused.reason = "/dev/sda: too small: it has 8 MiB, the image needs 32 MiB";
    refused.disk = "/dev/sda";
    refused.disk_class = storage_class::sata_ssd;
    auto slow = sample_row("PC-10", board_state::running, 0.25, 9e6);
    slow.disk = "/dev/sda";
    slow.disk_class = storage_class::hdd;
    auto waiting = sample_row("PC-2", board_state::waiting);
    waiting.fraction.reset();
    waiting.disk = "auto";
    waiting.disk_class.reset();
    auto shown = board_of({failed, refused, slow, sample_row("PC-9", board_state::running, 0.5, 500e6), waiting,
                           sample_row("PC-1", board_state::done, 1)});
    shown.board.left_seconds = 833;
    return shown;
}

} // namespace seedbed::test
