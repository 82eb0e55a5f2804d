#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/http/http_message.hpp"

namespace seedbed {

/// Serves the files of a folder: 200, 206, 304 or 416, with ETag and Last-Modified.
///
/// Only regular files are served. A name is a path below the folder. No part of it may begin with a dot or be a
/// symbolic link, so nothing outside the folder can be reached, and no file that is still being written under a hidden
/// name.
///
/// Files are opened and read by workers, 64 KiB at a time for each client. If a file changes, shrinks or cannot be read
/// while it is being sent, the connection is closed before the response is complete. A file that is replaced by another
/// of the same name is sent to its end.
///
/// Threads: confined to the one that runs the io_context. The destructor waits for the at most four reads that are
/// under way, not for those that wait for a worker: a disk that hangs delays it once.
class http_folder {
public:
    /// Receives one line about a file that exists and cannot be served, or about the folder. Strangers can cause it
    /// only if there is such a file or folder.
    using complaint = std::function<void(std::string const& line)>;
    using checked = std::function<void(result<void> const&)>;

    /// The most files that are open at a time, and, of these, being opened: if a disk hangs, no more connections wait
    /// for it. Further requests get status 503.
    static constexpr std::size_t most_files = 1024;
    static constexpr std::size_t most_opening = 256;

    http_folder(boost::asio::io_context& main, complaint complain);
    http_folder(http_folder const&) = delete;
    http_folder& operator=(http_folder const&) = delete;
    ~http_folder();

    /// From now on, serves another folder; files that are being sent are sent to their end. \param folder an absolute
    /// path; empty: none. \param call gets the error if the folder cannot be opened; each request opens it again.
    void set_folder(std::string folder, checked call);
    [[nodiscard]] std::string const& folder() const noexcept { return m_folder; }

    /// Responds later. \param path the rest of the target's path, still percent-encoded. Must not be called without a
    /// folder.
    void answer(http_request const& request, std::string_view path, http_respond const& respond);

    /// The number of files that are open or being opened.
    [[nodiscard]] std::size_t open_files() const noexcept;

private:
    struct opened;

    void on_opened(http_request const& request, std::shared_ptr<opened> const& file, http_respond const& respond);
    [[nodiscard]] http_response response_to(http_request const& request, std::shared_ptr<opened> const& file);
    [[nodiscard]] http_parts parts_of(std::shared_ptr<opened> const& file, std::string const& client);

    boost::asio::io_context& m_main;
    complaint const m_complain;
    std::string m_folder;
    std::size_t m_opening = 0;
    std::shared_ptr<char> m_open = std::make_shared<char>();  ///< each open file has a copy
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< expires with this object; for late reads
    std::unique_ptr<worker_pool> m_workers;                   ///< null until there is a folder
};

} // namespace seedbed
