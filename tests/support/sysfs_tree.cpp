#include "support/sysfs_tree.hpp"

#include <fstream>
#include <stdexcept>

namespace seedbed::test {

namespace fs = std::filesystem;

sysfs_tree::sysfs_tree() {
    for (auto const* folder : {"block", "class/block", "dev/block", "devices/virtual/block", "fs"}) {
        fs::create_directories(root() / folder);
    }
}

void sysfs_tree::add_device(fs::path const& folder, std::string const& subsystem) {
    if (fs::exists(root() / folder)) {
        return;
    }
    fs::create_directories(root() / folder);
    fs::create_directories(root() / subsystem);
    link(folder / "subsystem", subsystem);
}

void sysfs_tree::add_disk(fs::path const& folder, std::optional<std::string> const& number, int rotational) {
    add_block_device(folder, number);
    auto const name = folder.filename().string();
    link(fs::path("block") / name, folder);
    write(folder / "queue/rotational", std::to_string(rotational));
    write(folder / "hidden", number ? "0" : "1");
    fs::create_directories(root() / folder / "slaves");
}

void sysfs_tree::add_partition(std::string const& disk, std::string const& name, std::string const& number, int index) {
    auto const folder = folder_of(disk) / name;
    add_block_device(folder, number);
    write(folder / "partition", std::to_string(index));
}

void sysfs_tree::add_holder(std::string const& upper, std::string const& lower) {
    link(folder_of(upper) / "slaves" / lower, folder_of(lower));
    link(folder_of(lower) / "holders" / upper, folder_of(upper));
}

void sysfs_tree::set_attribute(std::string const& device, fs::path const& name, std::string const& value) {
    write(folder_of(device) / name, value);
}

void sysfs_tree::link_device(fs::path const& path, std::string const& device) {
    fs::create_directories((root() / path).parent_path());
    link(path, folder_of(device));
}

fs::path sysfs_tree::folder_of(std::string const& device) const {
    return fs::canonical(root() / "class/block" / device).lexically_relative(fs::canonical(root()));
}

void sysfs_tree::link(fs::path const& path, fs::path const& target) {
    fs::create_symlink(target.lexically_relative(path.parent_path()), root() / path);
}

void sysfs_tree::write(fs::path const& file, std::string const& value) {
    fs::create_directories((root() / file).parent_path());
    std::ofstream stream(root() / file);
    stream << value << '\n';
    if (!stream.flush()) {
        throw std::runtime_error("cannot write " + file.string());
    }
}

void sysfs_tree::add_block_device(fs::path const& folder, std::optional<std::string> const& number) {
    add_device(folder, "class/block");
    link(fs::path("class/block") / folder.filename(), folder);
    fs::create_directories(root() / folder / "holders");
    if (number) {
        write(folder / "dev", *number);
        link(fs::path("dev/block") / *number, folder);
    }
}

} // namespace seedbed::test
