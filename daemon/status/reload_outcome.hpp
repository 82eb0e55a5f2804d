#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// The end of a reload. Once it was applied and the new images are open or have failed, there are no errors.
struct reload_outcome {
    std::vector<std::string> errors; ///< why nothing was changed, a line each

    friend bool operator==(reload_outcome const&, reload_outcome const&) = default;
};

using reload_receiver = std::function<void(reload_outcome const&)>;

/// The outcome as a JSON document on one line.
[[nodiscard]] std::string to_reload_document(reload_outcome const& outcome);
/// The inverse. Fails if the text is not such a document.
[[nodiscard]] result<reload_outcome> parse_reload_document(std::string_view text);

} // namespace seedbed
