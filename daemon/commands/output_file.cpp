#include "daemon/commands/output_file.hpp"

#include <algorithm>

#include "core/device/device_stack.hpp"
#include "core/foundation/save_file.hpp"

namespace seedbed {

result<void> check_output(std::string const& output, bool replace, std::vector<std::string> const& used) {
    auto const same = std::ranges::find_if(used, [&](auto const& each) { return paths_overlap(output, each); });
    if (same != used.end()) {
        return tl::unexpected(error{output + ": the result would replace " + *same + "; name another file"});
    }
    return check_can_save(output, replace);
}

} // namespace seedbed
