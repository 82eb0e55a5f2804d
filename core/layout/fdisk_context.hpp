#pragma once

#include <memory>

#include <libfdisk/libfdisk.h>

namespace seedbed {

struct fdisk_unref {
    void operator()(::fdisk_context* context) const noexcept { ::fdisk_unref_context(context); }
    void operator()(::fdisk_partition* partition) const noexcept { ::fdisk_unref_partition(partition); }
    void operator()(::fdisk_parttype* type) const noexcept { ::fdisk_unref_parttype(type); }
    void operator()(::fdisk_labelitem* item) const noexcept { ::fdisk_unref_labelitem(item); }
    void operator()(::fdisk_script* script) const noexcept { ::fdisk_unref_script(script); }
};

/// An object of libfdisk, released at the end of its scope.
template <class T>
using fdisk_object = std::unique_ptr<T, fdisk_unref>;

/// Takes libfdisk's dialogs: nothing is asked, printed or changed.
inline int no_dialog(::fdisk_context* /*context*/, ::fdisk_ask* /*ask*/, void* /*data*/) {
    return 0;
}

} // namespace seedbed
