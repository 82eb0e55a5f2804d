#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/device/disk_rule.hpp"
#include "daemon/machine/machine_orders.hpp"

namespace seedbed {

/// The MAC addresses of this machine's network cards, sorted: of Ethernet interfaces that the kernel places on a bus,
/// or, if there is none, of the virtual ones. Reads sysfs. \param net the folder of interfaces.
[[nodiscard]] std::vector<std::string> find_macs(std::filesystem::path const& net = "/sys/class/net");

/// The machine's DMI serial number; empty if it has none, if only root may read it, or if the vendor has left a
/// placeholder in its place.
[[nodiscard]] std::string find_dmi_serial(std::filesystem::path const& dmi = "/sys/class/dmi/id");

/// The disks in one line, for people.
[[nodiscard]] std::string list_text(std::vector<disk_facts> const& disks);

} // namespace seedbed
