#include "daemon/image/disk_work.hpp"

#include <algorithm>
#include <cstdint>

#include "core/device/disk_content.hpp"
#include "core/device/open_path.hpp"

namespace seedbed {

namespace {

using plan_failure_cause = packed_plan_failure::cause;

packed_plan_events events_of(disk_work& work) {
    return {[&work](std::string const& line) { work.steps.push_back(line); },
            [&work](std::string const& line) { work.warnings.push_back(line); }};
}

failure_kind kind_of(plan_failure_cause cause) {
    switch (cause) {
    case plan_failure_cause::image:
        return failure_kind::torrent;
    case plan_failure_cause::target:
        return failure_kind::guard;
    case plan_failure_cause::device:
        return failure_kind::write;
    case plan_failure_cause::program:
        break;
    }
    return failure_kind::internal;
}

} // namespace

disk_work wipe_disk(packed_plan const& plan, block_device& device) {
    disk_work work;
    if (auto const found = find_signatures(open_path(device))) {
        for (auto const& each : *found) {
            auto const whole = each.area_length > 0;
            work.erased.push_back({whole ? each.area_offset : each.offset, whole ? each.area_length : each.length});
        }
    }
    if (auto const wiped = plan.wipe(device, true, events_of(work)); !wiped) {
        work.failure = {kind_of(wiped.error().what), wiped.error().message};
    } else {
        plan.discard(device, events_of(work));
    }
    return work;
}

disk_work hold_back_ends(image_device const& image, packed_plan const* plan) {
    disk_work work;
    work.erased = image.ends()->hold_back();
    if (plan != nullptr) {
        plan->discard(image.storage(), events_of(work));
    }
    return work;
}

disk_work finish_disk(packed_plan const& plan, image_device const& image) {
    disk_work work;
    auto& device = image.storage();
    image.packed()->device_may_have_changed(); // programs write to it; peers must not rely on any piece meanwhile
    auto const finished = plan.finish(device, events_of(work));
    image.packed()->device_may_have_changed();
    if (!finished) {
        auto const& [cause, reason] = finished.error();
        auto const text =
            reason + "; " + device.path() + " has no partition table: remove the cause, and deploy it again";
        work.failure = {kind_of(cause), cause == plan_failure_cause::program ? text : reason};
    }
    return work;
}

} // namespace seedbed
