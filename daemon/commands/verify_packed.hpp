#pragma once

#include <string>

#include "core/device/io_profile.hpp"

namespace seedbed {

/// The part of the command line of `seedbed verify` that concerns packed images.
struct verify_packed_options {
    std::string torrent; ///< its path, for messages
    std::string device;
    io_profile profile;
    bool allow_mounted = false;
    bool json = false;
};

/// Compares a device with a packed image, whose packed file it does not need. \param bytes of the .torrent.
/// \return the exit status.
[[nodiscard]] int verify_packed(verify_packed_options const& options, std::string const& bytes);

} // namespace seedbed
