#include "core/foundation/error.hpp"

#include <cstring>
#include <new>
#include <system_error>

namespace seedbed {

char const* to_string(io_operation op) noexcept {
    switch (op) {
    case io_operation::open:
        return "open";
    case io_operation::read:
        return "read";
    case io_operation::write:
        return "write";
    case io_operation::flush:
        return "flush";
    case io_operation::query:
        return "query";
    case io_operation::hash:
        return "hash";
    }
    return "access";
}

std::string errno_name(int code) {
    char const* name = ::strerrorname_np(code);
    return name != nullptr ? name : std::to_string(code);
}

namespace {

std::string reason(int code) {
    return std::generic_category().message(code) + " (" + errno_name(code) + ")";
}

} // namespace

std::string io_error::message() const {
    std::string text = std::string(to_string(operation)) + " " + device + ": ";
    if (length > 0) {
        text += "offset " + std::to_string(offset) + ", length " + std::to_string(length) + ": ";
    }
    return text + (detail.empty() ? reason(code) : detail);
}

io_error make_io_error(io_operation operation, std::string const& device, device_offset offset, std::int64_t length,
                       int code) noexcept {
    io_error made{operation, {}, offset.value(), length, code};
    try {
        made.device = device;
    } catch (std::bad_alloc const&) {
        made.device.clear();
    }
    return made;
}

io_error copy_of(io_error const& other) noexcept {
    auto made = make_io_error(other.operation, other.device, device_offset{other.offset}, other.length, other.code);
    try {
        made.detail = other.detail;
    } catch (std::bad_alloc const&) {
        made.detail.clear();
    }
    return made;
}

error errno_error(std::string const& what, int code) {
    return error{what + ": " + reason(code)};
}

} // namespace seedbed
