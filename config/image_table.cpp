#include "config/image_table.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "config/key.hpp"
#include "core/device/device_stack.hpp"

namespace seedbed {

namespace {

/// The mode that the table states, if it is valid.
std::optional<image_mode> stated_mode(table_reader const& table) {
    auto const text = table.peek_text("mode");
    for (auto const mode : {image_mode::seed, image_mode::deploy}) {
        if (text == to_string(mode)) {
            return mode;
        }
    }
    return std::nullopt;
}

/// Whether another row gives \p key a different meaning in the image's mode. An image without a valid mode is read as
/// one that is deployed.
bool means_something_else(config_key<image_settings> const& key, std::optional<image_mode> mode) {
    auto const wanted = mode.value_or(image_mode::deploy);
    return key.only && *key.only != wanted &&
           std::ranges::count(image_keys(), key.name, &config_key<image_settings>::name) > 1;
}

/// The identity of the target of a path: the device for a device node, whatever its name, otherwise the file.
using file_identity = std::tuple<bool, dev_t, ino_t>;

std::optional<file_identity> identify(std::string const& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return std::nullopt;
    }
    if (S_ISBLK(status.st_mode)) {
        return file_identity{true, status.st_rdev, 0};
    }
    return file_identity{false, status.st_dev, status.st_ino};
}

/// Reports values of one key that occur twice.
class duplicates {
public:
    duplicates(std::string key, error_report& report)
        : m_key(std::move(key))
        , m_report(report) {}

    void add_text(std::string const& text, config_place const& place) {
        auto const [first, added] = m_texts.try_emplace(text, place);
        if (!text.empty() && !added) {
            m_report.add(place, m_key, in_quotes(text) + " is already at " + first->second.text());
        }
    }

    void add_path(std::string const& path, config_place const& place) {
        auto const known = m_texts.contains(path);
        add_text(path, place);
        auto const identity = path.empty() || known ? std::nullopt : identify(path);
        if (!identity) {
            return;
        }
        auto const [first, added] = m_files.try_emplace(*identity, place);
        if (!added) {
            m_report.add(place, m_key, in_quotes(path) + " is the same file as at " + first->second.text());
        }
    }

private:
    std::string m_key;
    error_report& m_report;
    std::map<std::string, config_place> m_texts;
    std::map<file_identity, config_place> m_files;
};

} // namespace

image_table read_image(table_reader& table, std::filesystem::path const& folder) {
    image_settings image;
    image.origin = table.place().text();
    auto const mode = stated_mode(table);
    for (auto const& key : image_keys()) {
        if (means_something_else(key, mode)) {
            continue;
        }
        key.read(table, folder, image);
        if (key.only && mode && *key.only != *mode && table.has(key.name)) {
            table.fail(key.name, std::string("only for mode \"") + to_string(*key.only) + "\"");
        }
    }
    if (table.has("on_complete") && !table.has("expect")) {
        table.fail("on_complete", "requires \"expect\"");
    }
    table.finish();
    return {std::move(image), table.place_of("name"), table.place_of("torrent"), table.place_of("device")};
}

namespace {

/// Reports an image that would be written over the bytes of another.
void report_overlap(std::vector<image_table> const& images, image_table const& later, error_report& report) {
    for (auto const& first : images) {
        if (&first == &later) {
            return;
        }
        auto const written = first.image.mode == image_mode::deploy || later.image.mode == image_mode::deploy;
        if (written && identify(first.image.device) != identify(later.image.device) &&
            paths_overlap(first.image.device, later.image.device)) {
            report.add(later.device, "image.device",
                       in_quotes(later.image.device) + " shares bytes with " + in_quotes(first.image.device) + " at " +
                           first.device.text() + ", and one of them is written");
        }
    }
}

} // namespace

void report_duplicates(std::vector<image_table> const& images, error_report& report) {
    duplicates names("image.name", report);
    duplicates torrents("image.torrent", report);
    duplicates devices("image.device", report);
    for (auto const& each : images) {
        names.add_text(each.image.name, each.name);
        torrents.add_path(each.image.torrent, each.torrent);
        devices.add_path(each.image.device, each.device);
        report_overlap(images, each, report);
    }
}

} // namespace seedbed
