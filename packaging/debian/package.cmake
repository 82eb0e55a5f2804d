# `cmake --build build/release --target package` makes seedbed_VERSION_ARCH.deb. It needs dpkg-dev, for the names of the packages
# whose libraries the program uses.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Seedbed maintainers <maintainers@users.noreply.b-seed-1a0a3782.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "serves disk images over BitTorrent and writes them to disks")
set(CPACK_PACKAGE_DESCRIPTION
  "Seedbed serves disk images straight from block devices over BitTorrent and
writes them straight to block devices: one program, on the imaging server and
on the machines being imaged. An image is done only when every byte is
downloaded, written, flushed to the disk, read back and verified.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd")
# Programs that capture, grow and check file systems.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "partclone, e2fsprogs, ntfs-3g, xfsprogs, btrfs-progs, zstd")
# Programs of seedbed-boot-image(8) and of its results, and of the examples.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "mmdebstrap, dnsmasq-base, curl, jq, wakeonlan, netbase")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm
  ${CMAKE_CURRENT_LIST_DIR}/conffiles)
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # the configuration is in /etc, not below the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # from SOURCE_DATE_EPOCH, if set
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/changelog
  "seedbed (${PROJECT_VERSION}) stable; urgency=medium\n\n  * Version ${PROJECT_VERSION}.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
execute_process(COMMAND ${GZIP} -9nkf ${CMAKE_CURRENT_BINARY_DIR}/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
include(CPack)
