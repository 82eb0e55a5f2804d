#include "core/device/growth.hpp"

#include <charconv>
#include <system_error>

namespace seedbed {

result<growth> parse_growth(std::string_view text) {
    if (text == "none") {
        return growth{};
    }
    if (text == "last") {
        return growth{growth::choice::last, 0};
    }
    growth found{growth::choice::numbered, 0};
    auto const* const end = text.data() + text.size();
    auto const [stop, ec] = std::from_chars(text.data(), end, found.number);
    if (ec != std::errc{} || stop != end || found.number < 1 || found.number > most_table_entries) {
        return tl::unexpected(error{"expected the number of a partition, 'last' or 'none'"});
    }
    return found;
}

std::string to_string(growth const& grow) {
    switch (grow.which) {
    case growth::choice::none:
        return "none";
    case growth::choice::numbered:
        return std::to_string(grow.number);
    case growth::choice::last:
        return "last";
    }
    return {};
}

} // namespace seedbed
