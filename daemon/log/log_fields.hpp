#pragma once

#include <string_view>

namespace seedbed {

/// The subject of a message: the fields SEEDBED_IMAGE=, SEEDBED_DEVICE= and SEEDBED_PEER= in the journal. Empty ones
/// are omitted.
struct log_fields {
    std::string_view image;
    std::string_view device;
    std::string_view peer;
};

} // namespace seedbed
