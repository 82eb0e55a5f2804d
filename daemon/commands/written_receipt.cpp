#include "daemon/commands/written_receipt.hpp"

#include <chrono>

#include "core/foundation/printable.hpp"
#include "core/foundation/wall_clock.hpp"

namespace seedbed {

void complete_receipt(receipt& made, console const& output) {
    made.ended = wall_clock_now();
    made.taken = std::chrono::steady_clock::now() - made.began;
    made.errors = output.errors();
}

int write_receipt(std::string const& command, std::string const& path, receipt& made, console& output) {
    auto const code = made.result.code;
    if (path.empty()) {
        return code;
    }
    complete_receipt(made, output);
    auto const saved = save_receipt(path, made);
    if (saved) {
        return code;
    }
    output.print_error("seedbed " + command + ": " + printable(saved.error().message));
    return code == exit_ok ? exit_failed : code;
}

} // namespace seedbed
