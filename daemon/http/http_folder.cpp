#include "daemon/http/http_folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <new>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"
#include "core/foundation/unique_fd.hpp"
#include "daemon/http/http_file.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

namespace {

constexpr std::size_t bytes_a_part = 64U << 10;
constexpr char const* folder_text_type = "text/plain; charset=utf-8";

http_response refusal(int status, std::string const& line) {
    return {status, folder_text_type, line + "\n"};
}

/// Whether every part of the path is a name that is served.
bool is_served_name(std::string_view path) {
    if (path.find('\0') != std::string_view::npos) {
        return false;
    }
    while (true) {
        auto const end = path.find('/');
        auto const part = path.substr(0, end);
        if (part.empty() || part.front() == '.') {
            return false;
        }
        if (end == std::string_view::npos) {
            return true;
        }
        path.remove_prefix(end + 1);
    }
}

/// UEFI HTTP boot expects these types for boot loaders and disk images; without one, it goes by the same extensions
/// (EDK2, HttpBootSupport.c).
char const* content_type_of(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, char const*>, 6> types{{{".efi", "application/efi"},
                                                                             {".iso", "application/vnd.efi-iso"},
                                                                             {".ipxe", folder_text_type},
                                                                             {".cfg", folder_text_type},
                                                                             {".conf", folder_text_type},
                                                                             {".txt", folder_text_type}}};
    auto const* const found =
        std::ranges::find_if(types, [name](auto const& each) { return name.ends_with(each.first); });
    return found == types.end() ? "application/octet-stream" : found->second;
}

/// For example "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
std::string http_date(std::time_t time) {
    std::tm parts{};
    std::array<char, 64> text{};
    if (::gmtime_r(&time, &parts) == nullptr ||
        std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == 0) {
        return {};
    }
    return text.data();
}

bool is_same_content(struct stat const& a, struct stat const& b) {
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

/// Opens a file below \p at, part by part, without following a symbolic link. \return errno if that fails.
int open_below(unique_fd at, std::string_view path, unique_fd& into) {
    for (auto end = path.find('/'); end != std::string_view::npos; end = path.find('/')) {
        std::string const part(path.substr(0, end));
        at.reset(::openat(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!at) {
            return errno;
        }
        path.remove_prefix(end + 1);
    }
    // Does not wait for the other end of a FIFO.
    into.reset(
        ::openat(at.get(), std::string(path).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    return into ? 0 : errno;
}

} // namespace

/// A file that is to be sent, or why it cannot be. Used by one thread at a time.
struct http_folder::opened {
    std::string name; ///< for messages; printable
    std::string path; ///< in the folder
    std::shared_ptr<char> counted;
    unique_fd fd;
    struct stat as_opened {};
    int status = 200;      ///< other than 200: the response
    std::string complaint; ///< to log, why it cannot be opened; empty: nothing
    std::uint64_t next = 0;
    std::uint64_t left = 0; ///< to be sent

    void open(std::string const& folder);
    [[nodiscard]] result<std::shared_ptr<std::string const>> read();

private:
    void fail(int code);
};

void http_folder::opened::open(std::string const& folder) {
    unique_fd root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
        status = 503;
        complaint = "cannot open " + errno_error(printable(folder), errno).message;
        return;
    }
    if (auto const code = open_below(std::move(root), path, fd); code != 0) {
        fail(code);
    } else if (::fstat(fd.get(), &as_opened) != 0) {
        fail(errno);
    } else if (!S_ISREG(as_opened.st_mode)) {
        status = 404;
    }
}

void http_folder::opened::fail(int code) {
    switch (code) {
    case ENOENT:
    case ENOTDIR: // also if a folder is a symbolic link
    case ENAMETOOLONG:
    case ENXIO: // a socket
        status = 404;
        return;
    case ELOOP:
        status = 404;
        complaint = "not serving " + name + ": it is a symbolic link";
        return;
    case EACCES:
    case EPERM:
        status = 403;
        break;
    case EMFILE:
    case ENFILE:
        status = 503;
        break;
    default:
        status = 500;
    }
    complaint = "cannot open " + errno_error(name, code).message;
}

/// Must not throw: it runs on a worker.
result<std::shared_ptr<std::string const>> http_folder::opened::read() try {
    auto const part = std::make_shared<std::string>(std::min<std::uint64_t>(left, bytes_a_part), '\0');
    ssize_t count = 0;
    do {
        count = ::pread(fd.get(), part->data(), part->size(), static_cast<off_t>(next));
    } while (count < 0 && errno == EINTR);
    struct stat now {};
    if (count < 0 || ::fstat(fd.get(), &now) != 0) {
        return tl::unexpected(errno_error(name, errno));
    }
    if (count == 0 || !is_same_content(as_opened, now)) {
        return tl::unexpected(error{name + ": changed while being sent"});
    }
    part->resize(static_cast<std::size_t>(count));
    next += part->size();
    left -= part->size();
    return part;
} catch (std::bad_alloc const&) {
    return tl::unexpected(errno_error(name, ENOMEM));
}

http_folder::http_folder(boost::asio::io_context& main, complaint complain)
    : m_main(main)
    , m_complain(std::move(complain)) {}

http_folder::~http_folder() {
    m_alive.reset(); // the workers skip the waiting jobs
}

std::size_t http_folder::open_files() const noexcept {
    return static_cast<std::size_t>(m_open.use_count()) - 1;
}

void http_folder::set_folder(std::string folder, checked call) {
    m_folder = std::move(folder);
    if (m_folder.empty()) {
        return;
    }
    if (!m_workers) {
        m_workers = std::make_unique<worker_pool>("files", 4);
    }
    m_workers->submit([&main = m_main, folder = m_folder, call = std::move(call), alive = std::weak_ptr(m_alive)] {
        if (alive.expired()) {
            return;
        }
        unique_fd const fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        auto const outcome = fd ? result<void>{} : tl::unexpected(errno_error(printable(folder), errno));
        boost::asio::post(main, [call, alive, outcome] {
            if (!alive.expired()) {
                call(outcome);
            }
        });
    });
}

void http_folder::answer(http_request const& request, std::string_view path, http_respond const& respond) {
    auto name = percent_decoded(path);
    if (!name) {
        respond(refusal(400, "invalid percent-encoding"));
        return;
    }
    if (!is_served_name(*name)) {
        respond(refusal(404, "no such file"));
        return;
    }
    if (open_files() >= most_files || m_opening >= most_opening) {
        auto busy = refusal(503, "too many files are being sent");
        busy.fields = {{"Retry-After", "10"}};
        respond(std::move(busy));
        return;
    }
    auto file = std::make_shared<opened>();
    file->name = printable(m_folder + "/" + *name);
    file->path = *std::move(name);
    file->counted = m_open;
    ++m_opening;
    m_workers->submit([this, &main = m_main, alive = std::weak_ptr(m_alive), folder = m_folder, request = request,
                       respond = respond, file = std::move(file)]() mutable {
        if (!alive.expired()) {
            file->open(folder);
        }
        // Connections belong to the main thread: the worker must not keep any part of one.
        boost::asio::post(
            main, [this, alive, request = std::move(request), respond = std::move(respond), file = std::move(file)] {
                if (!alive.expired()) {
                    --m_opening;
                    on_opened(request, file, respond);
                }
            });
    });
}

void http_folder::on_opened(http_request const& request, std::shared_ptr<opened> const& file,
                            http_respond const& respond) {
    if (!file->complaint.empty()) {
        m_complain(file->complaint);
    }
    switch (file->status) {
    case 200:
        respond(response_to(request, file));
        break;
    case 403:
        respond(refusal(403, "the server has no permission to read this file"));
        break;
    case 404:
        respond(refusal(404, "no such file"));
        break;
    default:
        respond(refusal(file->status, "the server cannot open this file"));
    }
}

http_response http_folder::response_to(http_request const& request, std::shared_ptr<opened> const& file) {
    auto const& found = file->as_opened;
    auto const size = static_cast<std::uint64_t>(found.st_size);
    auto const tag =
        fmt::format("\"{:x}-{:x}-{:x}.{:x}\"", found.st_ino, size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
    auto const date = http_date(found.st_mtim.tv_sec);
    auto const has_it = request.if_none_match.empty() ? !date.empty() && request.if_modified_since == date
                                                      : lists_tag(request.if_none_match, tag);
    // A date does not count here: a file may change twice in a second.
    auto const same = request.if_range.empty() || request.if_range == tag;
    auto const range = same ? parse_range(request.range, size) : std::nullopt;
    http_response response;
    response.fields = {{"ETag", tag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "no-cache"}};
    if (!date.empty()) {
        response.fields.emplace_back("Last-Modified", date);
    }
    if (has_it) {
        response.status = file_status::not_modified;
        return response;
    }
    if (range && range->length == 0) {
        return no_such_range(size);
    }
    if (range) {
        response.status = file_status::partial;
        response.fields.push_back(content_range(*range, size));
    }
    file->next = range ? range->first : 0;
    file->left = range ? range->length : size;
    response.content_type = content_type_of(file->path);
    response.parts = parts_of(file, request.peer_address);
    return response;
}

http_parts http_folder::parts_of(std::shared_ptr<opened> const& file, std::string const& client) {
    auto read_next = [this, file, client](http_receive_part receive) {
        m_workers->submit([this, &main = m_main, alive = std::weak_ptr(m_alive), file = file, client = client,
                           receive = std::move(receive)]() mutable {
            using bytes = std::shared_ptr<std::string const>;
            auto part = alive.expired() ? result<bytes>(nullptr) : file->read();
            boost::asio::post(main, [this, alive, file = std::move(file), client = std::move(client),
                                     receive = std::move(receive), part = std::move(part)] {
                if (!part && !alive.expired()) {
                    m_complain("cannot send to " + client + ": " + part.error().message + "; ending the connection");
                }
                receive(part ? *part : nullptr);
            });
        });
    };
    return {file->left, std::move(read_next)};
}

} // namespace seedbed
