#include "config/machine_table.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <utility>

#include "config/key.hpp"

namespace seedbed {

namespace {

/// Reports values of one key of machines that occur twice.
class machine_duplicates {
public:
    machine_duplicates(std::string key, error_report& report)
        : m_key(std::move(key))
        , m_report(report) {}

    void add(std::string const& value, config_place const& place) {
        if (value.empty()) {
            return;
        }
        auto folded = value;
        std::ranges::transform(folded, folded.begin(),
                               [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
        auto const [first, added] = m_first.try_emplace(folded, place);
        if (!added) {
            m_report.add(place, m_key, in_quotes(value) + " is already at " + first->second.text());
        }
    }

private:
    std::string m_key;
    error_report& m_report;
    std::map<std::string, config_place> m_first;
};

void check_image_of(machine_table const& each, std::vector<image_table> const& images, error_report& report) {
    auto const& name = each.machine.order.image;
    if (name.empty()) {
        return;
    }
    auto const found = std::ranges::find(images, name, [](auto const& image) { return image.image.name; });
    if (found == images.end()) {
        report.add(each.image, "machine.image", "no image has the name " + in_quotes(name));
    } else if (found->image.mode != image_mode::seed) {
        report.add(each.image, "machine.image", in_quotes(name) + " is not an image of mode \"seed\"");
    }
}

} // namespace

machine_table read_machine(table_reader& table) {
    machine_settings machine;
    machine.origin = table.place().text();
    for (auto const& key : machine_keys()) {
        key.read(table, {}, machine);
    }
    if (table.has("mac") == table.has("serial")) {
        table.fail(table.has("mac") ? "serial" : "mac", R"(expected either "mac" or "serial")");
    }
    table.finish();
    return {std::move(machine), table.place_of("name"), table.place_of("mac"), table.place_of("serial"),
            table.place_of("image")};
}

void check_machines(std::vector<machine_table> const& machines, std::vector<image_table> const& images,
                    error_report& report) {
    machine_duplicates names("machine.name", report);
    machine_duplicates macs("machine.mac", report);
    machine_duplicates serials("machine.serial", report);
    for (auto const& each : machines) {
        names.add(each.machine.name, each.name);
        macs.add(each.machine.mac, each.mac);
        serials.add(each.machine.serial, each.serial);
        check_image_of(each, images, report);
    }
    if (machines.size() > most_machines) {
        report.add(machines[most_machines].name, "machine",
                   "more than " + std::to_string(most_machines) + " machines are configured");
    }
}

} // namespace seedbed
