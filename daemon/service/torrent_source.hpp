#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"
#include "daemon/http/http_url.hpp"

namespace seedbed {

/// Where a command gets a .torrent from.
struct torrent_source {
    enum class kind : std::uint8_t { file, standard_input, server };
    kind from = kind::file;
    std::string path = {}; ///< of a file, absolute
    http_url url = {};     ///< on a server

    /// As messages name it: the path, "standard input" or the URL.
    [[nodiscard]] std::string name() const;
};

/// Parses a command line's argument: a URL, "-", or the path of a file; with \p server, "HOST" or "HOST:PORT" (default:
/// 6969), the name of an image on it. \p server is empty if it was not given.
[[nodiscard]] result<torrent_source> parse_torrent_source(std::string const& text, std::string const& server);

/// Reads the .torrent. Blocks: at most 10 s for each address of the server until it is connected, and five minutes for
/// the transfer. Redirects are not followed.
/// \param max_size bytes. \return the bytes, or one line that names the source, the cause and the remedy.
[[nodiscard]] result<std::string> read_torrent(torrent_source const& source, std::int64_t max_size);

/// Reads standard input to its end, then makes the terminal of the process, if there is one, its standard input, so
/// that it can ask the user.
[[nodiscard]] result<std::string> read_standard_input(std::int64_t max_size);

/// Why a server does not have an image: a hint if the name is misspelled, and the names that it has.
[[nodiscard]] std::string unknown_image_text(http_url const& url, std::vector<std::string> const& names);

/// A file without a name on any disk. Its path works only in this process, during the lifetime of the object.
class memory_file {
public:
    [[nodiscard]] static result<memory_file> make(std::string const& bytes);
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(m_fd.get()); }

private:
    explicit memory_file(unique_fd fd)
        : m_fd(std::move(fd)) {}
    unique_fd m_fd;
};

} // namespace seedbed
