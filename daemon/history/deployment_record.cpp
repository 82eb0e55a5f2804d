#include "daemon/history/deployment_record.hpp"

#include <algorithm>
#include <array>

#include "core/foundation/printable.hpp"
#include "daemon/history/receipt_text.hpp"

namespace seedbed {

namespace {

constexpr std::array deployment_ends{deployment_end::done, deployment_end::failed, deployment_end::refused};

} // namespace

char const* to_string(deployment_end end) noexcept {
    switch (end) {
    case deployment_end::done:
        return "done";
    case deployment_end::refused:
        return "refused";
    case deployment_end::failed:
        break;
    }
    return "failed";
}

std::optional<deployment_end> parse_deployment_end(std::string_view text) noexcept {
    auto const* const found =
        std::ranges::find(deployment_ends, text, [](auto end) -> std::string_view { return to_string(end); });
    return found != deployment_ends.end() ? std::optional(*found) : std::nullopt;
}

deployment_record bounded(deployment_record record) {
    for (auto* const text :
         {&record.id, &record.machine, &record.card, &record.address, &record.image, &record.info_hash, &record.device,
          &record.model, &record.serial, &record.disk_class, &record.reason, &record.warnings}) {
        *text = printable(std::string_view(*text).substr(0, longest_record_text));
    }
    record.receipt = record.receipt.empty() ? "" : checked_receipt(record.receipt);
    return record;
}

std::optional<double> seconds_of(deployment_record const& record) noexcept {
    if (record.taken) {
        return std::chrono::duration<double>(*record.taken).count();
    }
    if (!record.started || *record.started > record.ended) {
        return std::nullopt;
    }
    return std::chrono::duration<double>(record.ended - *record.started).count();
}

} // namespace seedbed
