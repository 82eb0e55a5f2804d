#include "daemon/service/reload.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "config/key.hpp"

namespace seedbed {

namespace {

/// Whether no changed key requires the image to be reopened.
bool may_stay_open(image_settings const& running, image_settings const& wanted) {
    return std::ranges::all_of(
        image_keys(), [&](auto const& key) { return key.change != key_change::reopen || key.equal(running, wanted); });
}

/// The tables with a changed key that a reload applies.
std::set<std::string> changed_tables(settings const& running, settings const& wanted) {
    std::set<std::string> tables;
    for (auto const& key : daemon_keys()) {
        if (key.change == key_change::live && !key.equal(running, wanted)) {
            tables.insert(key.table);
        }
    }
    return tables;
}

void plan_image(reload_plan& plan, running_image const& image, image_settings const* wanted) {
    if (wanted == nullptr) {
        plan.close.push_back(image.settings.name);
    } else if (image.failed || image.torrent_changed || !may_stay_open(image.settings, *wanted)) {
        plan.close.push_back(image.settings.name);
        plan.open.push_back(*wanted);
    } else if (!(image.settings == *wanted)) {
        plan.update.push_back(*wanted);
    }
}

} // namespace

reload_plan plan_reload(settings const& running, std::vector<running_image> const& images, settings const& wanted) {
    reload_plan plan;
    for (auto const& image : images) {
        auto const found = std::ranges::find(wanted.images, image.settings.name, &image_settings::name);
        plan_image(plan, image, found != wanted.images.end() ? &*found : nullptr);
    }
    for (auto const& image : wanted.images) {
        auto const runs = [&](running_image const& other) { return other.settings.name == image.name; };
        if (std::ranges::none_of(images, runs)) {
            plan.open.push_back(image);
        }
    }
    auto const tables = changed_tables(running, wanted);
    plan.network = tables.contains("network");
    plan.resume = tables.contains("resume");
    plan.tracker = tables.contains("tracker");
    plan.memory = tables.contains("memory");
    plan.hashing = tables.contains("hashing");
    plan.control = tables.contains("control") || tables.contains("metrics") || tables.contains("web") ||
                   tables.contains("history");
    plan.profiles = std::ranges::any_of(tables, [](auto const& table) { return table.starts_with("profile."); });
    plan.log_level = tables.contains("log");
    plan.machines = tables.contains("boot") || running.machines != wanted.machines;
    plan.needs_restart = restart_differences(running, wanted);
    return plan;
}

} // namespace seedbed
