#include "daemon/service/reload.hpp"

#include <algorithm>

namespace seedbed {

namespace {

/// Whether nothing differs but what can change while the image is in use.
bool same_in_use(image_settings running, image_settings const& wanted) {
    running.peers = wanted.peers;
    running.trackers = wanted.trackers;
    running.profile = wanted.profile;
    running.verify = wanted.verify;
    running.check = wanted.check; // looked at when it is opened
    running.upload_limit = wanted.upload_limit;
    running.super_seeding = wanted.super_seeding;
    running.fleet = wanted.fleet;
    return running == wanted;
}

void plan_image(reload_plan& plan, running_image const& image, image_settings const* wanted) {
    if (wanted == nullptr) {
        plan.close.push_back(image.settings.name);
    } else if (image.failed || image.torrent_changed || !same_in_use(image.settings, *wanted)) {
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
    auto changeable = wanted.network;
    changeable.shards = running.network.shards;
    plan.network = !(running.network == changeable);
    plan.resume = !(running.resume == wanted.resume);
    plan.tracker = !(running.tracker == wanted.tracker);
    plan.memory = running.memory.pool != wanted.memory.pool || running.memory.cache != wanted.memory.cache;
    plan.hashing = running.hashing.threads != wanted.hashing.threads;
    plan.control = !(running.control == wanted.control) || !(running.metrics == wanted.metrics);
    plan.profiles = running.profiles != wanted.profiles;
    plan.log_level = running.log.level != wanted.log.level;
    plan.needs_restart = unchangeable_differences(running, wanted);
    return plan;
}

} // namespace seedbed
