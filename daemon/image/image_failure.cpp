#include "daemon/image/image_failure.hpp"

#include "core/image/piece_errors.hpp"

namespace seedbed {

image_failure source_differs(std::string const& device) {
    return {failure_kind::content, device + ": does not match the torrent; seeding stopped"};
}

image_failure to_failure(io_error const& error) {
    if (error.code == piece_refused) {
        return {failure_kind::damage, error.message()};
    }
    if (error.code == piece_differs && error.operation == io_operation::hash) {
        return source_differs(error.device);
    }
    switch (error.operation) {
    case io_operation::write:
        return {failure_kind::write, error.message()};
    case io_operation::flush:
        return {failure_kind::flush, error.message()};
    default:
        return {failure_kind::read, error.message()};
    }
}

} // namespace seedbed
