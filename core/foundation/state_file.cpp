#include "core/foundation/state_file.hpp"

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

result<void> save_state_file(std::filesystem::path const& path, std::string_view bytes) {
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    if (failed) {
        return tl::unexpected(errno_error(path.parent_path().string(), failed.value()));
    }
    return save_file(path, bytes, true, 0600);
}

result<std::optional<std::string>> load_state_file(std::filesystem::path const& path, std::int64_t limit) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::nullopt;
        }
        return tl::unexpected(errno_error(path.string(), errno));
    }
    auto text = read_to_end(fd.get(), path.string(), limit);
    if (!text) {
        return tl::unexpected(text.error());
    }
    if (static_cast<std::int64_t>(text->size()) > limit) {
        return tl::unexpected(error{path.string() + ": larger than the limit of " + format_byte_size(limit)});
    }
    return std::move(*text);
}

result<std::string> read_to_end(int fd, std::string const& name, std::int64_t limit) {
    std::string bytes;
    std::string buffer(64 << 10, '\0');
    while (static_cast<std::int64_t>(bytes.size()) <= limit) {
        auto const count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return tl::unexpected(errno_error(name, errno));
        }
        if (count == 0) {
            break;
        }
        bytes.append(buffer, 0, static_cast<std::size_t>(count));
    }
    return bytes;
}

} // namespace seedbed
