#include "daemon/http/shared_secret.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <random>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

std::string hex_of(std::array<unsigned char, shared_secret::code_bytes> const& bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (auto const each : bytes) {
        text += digits[each >> 4];
        text += digits[each & 15];
    }
    return text;
}

std::string timed(std::string_view time, std::string_view address) {
    return std::string(time) + " " + std::string(address);
}

} // namespace

result<std::shared_ptr<shared_secret const>> shared_secret::load(std::string const& file) {
    // O_NONBLOCK: a FIFO would wait for a writer.
    unique_fd const fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat found {};
    if (!fd || ::fstat(fd.get(), &found) != 0) {
        return tl::unexpected(errno_error(file, errno));
    }
    if (!S_ISREG(found.st_mode)) {
        return tl::unexpected(error{file + ": not a regular file, so not a secret"});
    }
    if ((found.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        return tl::unexpected(error{file + ": all users can " + ((found.st_mode & S_IROTH) != 0 ? "read" : "change") +
                                    " this secret; remove that permission (chmod o-rw)"});
    }
    std::string bytes(longest + 3, '\0');
    std::size_t size = 0;
    while (size < bytes.size()) {
        auto const count = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
        if (count < 0 && errno != EINTR) {
            return tl::unexpected(errno_error(file, errno));
        }
        if (count == 0) {
            break;
        }
        size += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    bytes.resize(size);
    bytes.erase(bytes.find_last_not_of("\r\n") + 1);
    if (bytes.size() < shortest || bytes.size() > longest) {
        return tl::unexpected(error{file + ": a secret must have " + std::to_string(shortest) + " to " +
                                    std::to_string(longest) + " bytes; this one has " +
                                    (bytes.size() > longest ? "more" : std::to_string(bytes.size()))});
    }
    return std::make_shared<shared_secret const>(std::move(bytes));
}

std::string shared_secret::code(std::string_view message) const {
    std::array<unsigned char, code_bytes> made{};
    unsigned length = 0;
    auto const* const done =
        ::HMAC(::EVP_sha256(), m_bytes.data(), static_cast<int>(m_bytes.size()),
               reinterpret_cast<unsigned char const*>(message.data()), message.size(), made.data(), &length);
    if (done == nullptr || length != made.size()) {
        throw std::system_error(ENOMEM, std::generic_category(), "HMAC"); // no other reason is known
    }
    return hex_of(made);
}

bool shared_secret::proves(std::string_view message, std::string_view given) const {
    auto const right = code(message);
    return given.size() == right.size() && ::CRYPTO_memcmp(given.data(), right.data(), right.size()) == 0;
}

std::string random_bytes(std::size_t count) {
    std::random_device device; // getrandom(2), in libstdc++
    std::string bytes;
    while (bytes.size() < count) {
        bytes += static_cast<char>(device() & 0xff);
    }
    return bytes;
}

challenges::challenges()
    : m_own(random_bytes(shared_secret::code_bytes)) {}

std::string challenges::make(std::string_view address, clock::time_point now) const {
    auto const time =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
    return time + "x" + m_own.code(timed(time, address));
}

bool challenges::is_valid(std::string_view challenge, std::string_view address, clock::time_point now) const {
    auto const mark = challenge.find('x');
    if (mark == std::string_view::npos) {
        return false;
    }
    auto const time = challenge.substr(0, mark);
    std::int64_t made = 0;
    auto const [end, ec] = std::from_chars(time.data(), time.data() + time.size(), made);
    if (ec != std::errc{} || end != time.data() + time.size() ||
        !m_own.proves(timed(time, address), challenge.substr(mark + 1))) {
        return false;
    }
    auto const age = now.time_since_epoch() - std::chrono::milliseconds(made);
    return age >= clock::duration::zero() - std::chrono::milliseconds(1) && age <= lifetime;
}

} // namespace seedbed
