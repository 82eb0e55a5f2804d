#pragma once

#include <string>

#include "config/key_kinds.hpp"
#include "config/key_section.hpp"
#include "config/settings.hpp"

namespace seedbed {

/// Adds the keys of a machine_order. \param image "required", or the image without the key.
template <class Whole, class Part>
void add_order_keys(key_section<Whole, Part>& table, std::string const& image) {
    using part = machine_order;
    using enum key_change;
    table.add("image", &part::image, kind::image_name{.required = image == "required"}, live, image);
    table.add("disk", &part::disk, kind::disk_rule{}, live);
    table.add("grow", &part::grow, kind::grown_partition{}, live);
    table.add("new_ids", &part::new_ids, kind::flag{}, live);
    table.add("after", &part::after,
              kind::word<after_deploy>{{after_deploy::reboot, after_deploy::poweroff, after_deploy::wait}}, live);
}

} // namespace seedbed
