#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "daemon/status/machine_board.hpp"
#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The most rows in a document for the web page.
inline constexpr std::size_t most_board_rows = 5000;
/// The most rows in a document for the operator: all machines that may be configured, and as many hosts.
inline constexpr std::size_t most_operator_rows = 2 * most_machines;

/// The machines as a document, format 1: one line of JSON. Rows above the limit are counted, not listed; machines are
/// listed before hosts.
[[nodiscard]] std::string to_board_document(machine_board const& board, status_snapshot const& snapshot,
                                            std::size_t most_rows = most_board_rows);

/// The document as a program reads it. Texts are as the daemon sent them: they may be unprintable.
struct shown_board {
    std::string version;                         ///< of the daemon
    std::chrono::system_clock::time_point taken; ///< when the document was made
    bool stopping = false;
    std::string complaint; ///< why the daemon is not healthy; empty if it is
    /// An image that has failed.
    struct failed_image {
        std::string name;
        std::string failure;
    };
    std::vector<failed_image> failed_images;
    std::size_t images = 0;   ///< the number of images
    std::size_t machines = 0; ///< the number of machines, also of those without a row
    std::size_t unlisted = 0; ///< rows above the limit
    machine_board board;      ///< without last_ended and not_seen
};

/// The inverse of to_board_document(). The error is one line.
[[nodiscard]] result<shown_board> parse_board_document(std::string_view text);

} // namespace seedbed
