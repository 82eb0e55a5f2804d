#include "core/foundation/printable.hpp"

#include <algorithm>

namespace seedbed {

std::string printable(std::string_view text) {
    std::string shown(text);
    std::ranges::replace_if(
        shown, [](char c) { return c < ' ' || c > '~'; }, '?');
    return shown;
}

} // namespace seedbed
