#pragma once

#include <string_view>

namespace seedbed {

/// What a message is about: in the journal the fields SEEDBED_IMAGE=, SEEDBED_DEVICE= and SEEDBED_PEER=. Empty ones are
/// left out.
struct log_fields {
    std::string_view image;
    std::string_view device;
    std::string_view peer;
};

} // namespace seedbed
