#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/status/status_snapshot.hpp"
#include "daemon/terminal/text_table.hpp"

namespace seedbed {

/// The lines of the peers of several images, as printable ASCII in common columns.
class peer_lines {
public:
    /// \param width maximum length of a line.
    explicit peer_lines(std::size_t width)
        : m_width(width) {}

    /// Adds the next image with at most \p count lines: if it has more peers, those with the least progress, and a line
    /// that counts the others.
    void add(status_snapshot::image const& image, std::size_t count);

    /// The lines of each image, in the order of add().
    [[nodiscard]] std::vector<std::vector<std::string>> by_image() const;

private:
    std::size_t const m_width;
    text_table m_table{{{.title = ""},
                        {.title = "", .least = 15},
                        {.title = "", .rank = 3},
                        {.title = "", .rank = 1, .right = true},
                        {.title = "", .rank = 2},
                        {.title = "", .rank = 4, .least = 8}}};
    std::vector<std::size_t> m_counts;   ///< rows of each image
    std::vector<std::string> m_left_out; ///< the line that counts an image's other peers, or empty
};

} // namespace seedbed
