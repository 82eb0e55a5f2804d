#include "daemon/machine/job_json.hpp"

#include <nlohmann/json.hpp>

#include "config/value_formats.hpp"
#include "core/device/disk_rule.hpp"
#include "core/device/growth.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/machine/machine_job.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

nlohmann::ordered_json printable_or_null(std::string const& text) {
    return text_or_null(printable(text));
}

std::string job_text(nlohmann::json const& object, char const* key) {
    return printable(member_text(object, key).substr(0, longest_job_text));
}

void add_order(nlohmann::ordered_json& object, machine_order const& order) {
    object["image"] = order.image;
    object["disk"] = order.disk;
    object["grow"] = to_string(order.grow);
    object["new_ids"] = order.new_ids;
    object["after"] = to_string(order.after);
}

std::optional<machine_order> read_order(nlohmann::json const& object) {
    auto const text = [&](char const* key, char const* missing) {
        auto const at = object.find(key);
        return at == object.end() ? std::string(missing) : at->is_string() ? at->get<std::string>() : std::string();
    };
    machine_order order;
    order.image = text("image", "");
    order.disk = text("disk", "");
    auto const grow = parse_growth(text("grow", "none"));
    auto const new_ids = object.find("new_ids");
    auto const after = parse_after_deploy(text("after", ""));
    if (check_name_of_image(order.image) || !parse_disk_rule(order.disk) || !grow || !after ||
        (new_ids != object.end() && !new_ids->is_boolean())) {
        return std::nullopt;
    }
    order.grow = *grow;
    order.new_ids = new_ids != object.end() && *new_ids == true;
    order.after = *after;
    return order;
}

} // namespace seedbed
