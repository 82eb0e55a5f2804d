#include "config/settings.hpp"

#include <tuple>

namespace seedbed {

namespace {

/// Everything of an image that its comparison looks at: each new field belongs here.
auto compared(image_settings const& image) {
    return std::tie(image.name, image.torrent, image.device, image.mode, image.profile, image.peers, image.trackers,
                    image.serial, image.size, image.allow_mounted, image.verify, image.verify_source, image.check,
                    image.upload_limit, image.super_seeding, image.fleet);
}

} // namespace

char const* to_string(image_mode mode) noexcept {
    switch (mode) {
    case image_mode::seed:
        return "seed";
    case image_mode::deploy:
        return "deploy";
    }
    return "unknown";
}

char const* to_string(source_check check) noexcept {
    switch (check) {
    case source_check::lazy:
        return "lazy";
    case source_check::full:
        return "full";
    case source_check::none:
        return "none";
    }
    return "unknown";
}

char const* to_string(target_check check) noexcept {
    switch (check) {
    case target_check::resume:
        return "resume";
    case target_check::full:
        return "full";
    case target_check::none:
        return "none";
    }
    return "unknown";
}

char const* to_string(log_level level) noexcept {
    switch (level) {
    case log_level::error:
        return "error";
    case log_level::warning:
        return "warning";
    case log_level::info:
        return "info";
    case log_level::debug:
        return "debug";
    case log_level::trace:
        return "trace";
    }
    return "unknown";
}

bool operator==(image_settings const& a, image_settings const& b) {
    return compared(a) == compared(b);
}

std::vector<std::string> unchangeable_differences(settings const& running, settings const& wanted) {
    std::vector<std::string> keys;
    auto const compare = [&keys](std::string key, auto const& a, auto const& b) {
        if (!(a == b)) {
            keys.push_back(std::move(key));
        }
    };
    compare("network.shards", running.network.shards, wanted.network.shards);
    compare("memory.cache_shards", running.memory.cache_shards, wanted.memory.cache_shards);
    compare("memory.huge_pages", running.memory.huge_pages, wanted.memory.huge_pages);
    compare("hashing.ahead", running.hashing.ahead, wanted.hashing.ahead);
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        auto const prefix = "profile." + std::string(to_string(cls));
        compare(prefix + ".direct_io", running.profile(cls).direct_io, wanted.profile(cls).direct_io);
        compare(prefix + ".io_engine", running.profile(cls).io_engine, wanted.profile(cls).io_engine);
    }
    return keys;
}

} // namespace seedbed
