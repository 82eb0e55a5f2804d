#include "core/image/input_file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

result<std::string> read_input_file(std::filesystem::path const& path, std::int64_t max_size) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return tl::unexpected(error{path.string() + ": not a regular file"});
    }
    if (status.st_size > max_size) {
        return tl::unexpected(error{path.string() + ": " + std::to_string(status.st_size) +
                                    " bytes are more than the limit of " + format_byte_size(max_size)});
    }
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t filled = 0;
    while (filled < bytes.size()) {
        auto const got = ::read(fd.get(), bytes.data() + filled, bytes.size() - filled);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected(errno_error(path.string(), errno));
        }
        if (got == 0) {
            return tl::unexpected(error{path.string() + ": was truncated while it was being read"});
        }
        filled += static_cast<std::size_t>(got);
    }
    return bytes;
}

} // namespace seedbed
