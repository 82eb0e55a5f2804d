#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace seedbed::test {

/// A bencoded string.
inline std::string bencoded(std::string const& text) {
    return std::to_string(text.size()) + ":" + text;
}

/// One file of a torrent: an entry of its "files" list.
struct torrent_file_entry {
    std::vector<std::string> path;
    std::int64_t length = 0;
    std::string attributes; ///< BEP 47: 'p' for padding, for example
};

/// A bencoded v1 torrent, written by hand so that it can have errors that a library would reject. The hashes are made
/// up.
struct v1_torrent {
    std::string name = "sda1";
    std::int64_t piece_length = 16 << 20;
    std::vector<torrent_file_entry> files;

    [[nodiscard]] std::string info() const {
        std::string list;
        std::int64_t total = 0;
        for (auto const& file : files) {
            std::string path;
            for (auto const& component : file.path) {
                path += bencoded(component);
            }
            list += "d" + (file.attributes.empty() ? "" : "4:attr" + bencoded(file.attributes)) + "6:lengthi" +
                    std::to_string(file.length) + "e4:pathl" + path + "ee";
            total += file.length;
        }
        return "d5:filesl" + list + "e" + tail(total);
    }

    /// A torrent of one file with no "files" list: its name is the torrent's.
    [[nodiscard]] std::string single_file_info(std::int64_t length) const {
        return "d6:lengthi" + std::to_string(length) + "e" + tail(length);
    }

    [[nodiscard]] std::string bytes() const { return "d4:info" + info() + "e"; }

private:
    [[nodiscard]] std::string tail(std::int64_t total) const {
        auto const pieces = piece_length > 0 ? (total + piece_length - 1) / piece_length : 0;
        return "4:name" + bencoded(name) + "12:piece lengthi" + std::to_string(piece_length) + "e6:pieces" +
               bencoded(std::string(static_cast<std::size_t>(pieces) * 20, 'h')) + "e";
    }
};

} // namespace seedbed::test
