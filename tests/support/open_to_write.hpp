#pragma once

#include <memory>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"

namespace seedbed::test {

/// A device that open_block_device() opens for writing; the test fails if it refuses.
[[nodiscard]] inline std::unique_ptr<block_device> open_to_write(std::string const& path) {
    device_requirements requirements;
    requirements.writable = true;
    auto device = open_block_device(path, requirements);
    INFO((device ? "" : device.error().message));
    REQUIRE(device);
    return *std::move(device);
}

} // namespace seedbed::test
