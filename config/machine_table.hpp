#pragma once

#include <vector>

#include "config/image_table.hpp"
#include "config/settings.hpp"
#include "config/table_reader.hpp"

namespace seedbed {

/// One [[machine]], and the places of those keys that are checked against other tables. A missing or invalid key leaves
/// its field empty.
struct machine_table {
    machine_settings machine;
    config_place name;
    config_place mac;
    config_place serial;
    config_place image;
};

/// Reads and checks one [[machine]].
[[nodiscard]] machine_table read_machine(table_reader& table);

/// Reports names, MAC addresses and serial numbers that two machines share, machines above the limit, and images that
/// do not exist or are not seeded.
void check_machines(std::vector<machine_table> const& machines, std::vector<image_table> const& images,
                    error_report& report);

} // namespace seedbed
