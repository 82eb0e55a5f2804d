#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "support/temp_dir.hpp"

namespace seedbed::test {

/// A sysfs in a temporary folder: folders below devices/, and relative links to them from block/, class/block/ and
/// dev/block/ as the kernel makes them (Documentation/admin-guide/sysfs-rules.rst, block/genhd.c, block/holder.c).
///
/// Paths are relative to the root. Once created, a block device is named by its kernel name.
class sysfs_tree {
public:
    sysfs_tree();

    [[nodiscard]] std::filesystem::path const& root() const noexcept { return m_folder.path(); }

    /// A device that is not a block device, with its link `subsystem`, for example to "bus/pci" or "class/nvme". Does
    /// nothing if the folder exists.
    void add_device(std::filesystem::path const& folder, std::string const& subsystem);

    /// A block device at \p folder, whose last part is its name.
    /// \param number "MAJOR:MINOR"; nothing for a hidden one, such as a path of a multipath NVMe disk.
    void add_disk(std::filesystem::path const& folder, std::optional<std::string> const& number, int rotational);

    /// A partition: it has no own queue, but the file `partition`.
    void add_partition(std::string const& disk, std::string const& name, std::string const& number, int index);

    /// Stacks \p upper on \p lower: the links slaves/ and holders/.
    void add_holder(std::string const& upper, std::string const& lower);

    /// A file below a block device's folder; the kernel ends each with a newline.
    void set_attribute(std::string const& device, std::filesystem::path const& name, std::string const& value);

    /// A link at \p link to the block device, by a relative path.
    void link_device(std::filesystem::path const& link, std::string const& device);

private:
    std::filesystem::path folder_of(std::string const& device) const;
    void link(std::filesystem::path const& link, std::filesystem::path const& target);
    void write(std::filesystem::path const& file, std::string const& value);
    void add_block_device(std::filesystem::path const& folder, std::optional<std::string> const& number);

    temp_dir m_folder;
};

} // namespace seedbed::test
