#include "daemon/commands/confirm_overwrite.hpp"

#include "core/foundation/printable.hpp"
#include "daemon/terminal/confirm.hpp"
#include "daemon/terminal/overview_text.hpp"

namespace seedbed {

std::string overwrite_text(device_overview const& device, storage_class cls, std::string const& image) {
    return "This will be overwritten:\n\n" + overview_text(device, cls) + "\nwith the image\n\n" + image;
}

std::optional<std::string> why_replaced(std::string const& path, std::optional<device_identity> const& shown) {
    auto const now = identify_device(path);
    auto const identified = shown && (!shown->block_device || !shown->serials.empty() || shown->disk_sequence != 0);
    auto const why = now && identified ? why_other_device(*shown, *now) : std::nullopt;
    return why ? std::optional(path + ": was replaced after it was shown: " + *why) : std::nullopt;
}

result<void, overwrite_refusal> confirm_overwrite(std::string const& path,
                                                  std::optional<device_identity> const& shown) {
    auto const answer = confirm("Overwrite " + printable(path) + "? Type \"yes\" to continue: ");
    if (!answer) {
        return tl::unexpected(overwrite_refusal{exit_not_confirmed, answer.error().message});
    }
    if (!*answer) {
        return tl::unexpected(overwrite_refusal{exit_not_confirmed, "not confirmed: nothing was written"});
    }
    if (auto const why = why_replaced(path, shown)) {
        return tl::unexpected(overwrite_refusal{exit_refused, *why});
    }
    return {};
}

} // namespace seedbed
